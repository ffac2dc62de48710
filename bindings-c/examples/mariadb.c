/* Runs each line of standard input as a query on a new connection to MariaDB or MySQL. It can connect at any time, even
 * while the password rotates: `mariadb SECRET HOST PORT DATABASE`.
 *
 *     cc mariadb.c $(pkg-config --cflags --libs secretcache libmariadb) -o mariadb
 */
#include <mysql.h>
#include <mysqld_error.h>
#include <secretcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_SECONDS 10

struct target {
    const char *host, *database;
    unsigned int port;
    MYSQL *connection;
};

/* Tries one version of the credential: user name and password change together. Of the connector's failures, only a refused
 * login asks for another version. */
static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    struct target *target = user_data;
    secretcache_str user = secretcache_credential_username(credential);
    secretcache_str password = secretcache_credential_password(credential);
    /* The connector takes C strings: a NUL inside would cut the password short. */
    if (!user.data || !password.data || strlen(password.data) != password.length) {
        return SECRETCACHE_LOGIN_ERROR;
    }
    MYSQL *connection = mysql_init(NULL);
    unsigned int patience = PATIENCE_SECONDS;
    mysql_options(connection, MYSQL_OPT_CONNECT_TIMEOUT, &patience);
    if (mysql_real_connect(connection, target->host, user.data, password.data, target->database, target->port, NULL,
                           0)) {
        target->connection = connection;
        return SECRETCACHE_LOGIN_ACCEPTED;
    }
    unsigned int failure = mysql_errno(connection);
    mysql_close(connection);
    return failure == ER_ACCESS_DENIED_ERROR ? SECRETCACHE_LOGIN_REFUSED : SECRETCACHE_LOGIN_ERROR;
}

static void run(MYSQL *connection, const char *query)
{
    MYSQL_RES *result = mysql_query(connection, query) == 0 ? mysql_store_result(connection) : NULL;
    MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
    printf("%s\n", row ? row[0] : mysql_error(connection));
    mysql_free_result(result);
    mysql_close(connection);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: mariadb SECRET HOST PORT DATABASE\n");
        return 2;
    }
    struct target target = {argv[2], argv[4], (unsigned int)strtoul(argv[3], NULL, 10), NULL};
    secretcache_cache *cache = NULL;
    secretcache_error *error = NULL;
    if (secretcache_new(NULL, &cache, &error) != SECRETCACHE_OK) {
        fprintf(stderr, "%s\n", secretcache_error_message(error).data);
        secretcache_error_free(error);
        return 1;
    }
    char query[1024];
    while (fgets(query, sizeof query, stdin)) {
        query[strcspn(query, "\n")] = '\0';
        if (secretcache_connect(cache, secretcache_str_of(argv[1]), 0, log_in, &target, &error) != SECRETCACHE_OK) {
            printf("failed: %s\n", secretcache_error_message(error).data);
            secretcache_error_free(error);
        } else {
            run(target.connection, query);
        }
        fflush(stdout);
    }
    secretcache_stats *stats = NULL;
    if (secretcache_stats_new(cache, &stats, NULL) == SECRETCACHE_OK) {
        printf("%llu refused\n",
               (unsigned long long)secretcache_stats_count(stats, SECRETCACHE_COUNTER_LOGINS_REFUSED));
    }
    secretcache_stats_free(stats);
    secretcache_free(cache);
    return 0;
}
