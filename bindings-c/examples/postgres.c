/* Runs each line of standard input as a query on a new connection to PostgreSQL. It can connect at any time, even while
 * the password rotates: `postgres SECRET HOST PORT DATABASE`.
 *
 *     cc postgres.c $(pkg-config --cflags --libs secretcache libpq) -o postgres
 */
#include <libpq-fe.h>
#include <poll.h>
#include <secretcache.h>
#include <stdio.h>
#include <string.h>

#define PATIENCE_MS 10000

struct target {
    const char *host, *port, *database;
    PGconn *connection;
};

/* Connects as PQconnectdbParams does, but reports failures by their SQLSTATE: texts are in the server's language. */
static PGconn *connect_with(const char *const *names, const char *const *values)
{
    PGconn *connection = PQconnectStartParams(names, values, 0);
    PQsetErrorVerbosity(connection, PQERRORS_SQLSTATE);
    PostgresPollingStatusType wanted = PGRES_POLLING_WRITING;
    while (PQstatus(connection) != CONNECTION_BAD && wanted != PGRES_POLLING_OK && wanted != PGRES_POLLING_FAILED) {
        struct pollfd socket = {PQsocket(connection), wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, 0};
        if (poll(&socket, 1, PATIENCE_MS) <= 0) {
            break;
        }
        wanted = PQconnectPoll(connection);
    }
    PQsetErrorVerbosity(connection, PQERRORS_DEFAULT);
    return connection;
}

/* Whether a connection failed because of user name and password: invalid_password or
 * invalid_authorization_specification, which end the message. */
static int was_refused(const PGconn *connection)
{
    const char *message = PQerrorMessage(connection), *state = strrchr(message, ' ');
    return state && (strcmp(state, " 28P01\n") == 0 || strcmp(state, " 28000\n") == 0);
}

/* Tries one version of the credential. Of libpq's failures, only a refused login asks for another version. */
static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    struct target *target = user_data;
    secretcache_str user = secretcache_credential_username(credential);
    secretcache_str password = secretcache_credential_password(credential);
    /* libpq takes C strings: a NUL inside would cut the password short. */
    if (!user.data || !password.data || strlen(password.data) != password.length) {
        return SECRETCACHE_LOGIN_ERROR;
    }
    const char *names[] = {"host", "port", "dbname", "user", "password", NULL};
    const char *values[] = {target->host, target->port, target->database, user.data, password.data, NULL};
    PGconn *connection = connect_with(names, values);
    if (PQstatus(connection) == CONNECTION_OK) {
        target->connection = connection;
        return SECRETCACHE_LOGIN_ACCEPTED;
    }
    int refused = was_refused(connection);
    PQfinish(connection);
    return refused ? SECRETCACHE_LOGIN_REFUSED : SECRETCACHE_LOGIN_ERROR;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: postgres SECRET HOST PORT DATABASE\n");
        return 2;
    }
    struct target target = {argv[2], argv[3], argv[4], NULL};
    secretcache_cache *cache = NULL;
    secretcache_error *error = NULL;
    if (secretcache_new(NULL, &cache, &error) != SECRETCACHE_OK) {
        fprintf(stderr, "%s\n", secretcache_error_message(error).data);
        secretcache_error_free(error);
        return 1;
    }
    char query[1024];
    while (fgets(query, sizeof query, stdin)) {
        if (secretcache_connect(cache, secretcache_str_of(argv[1]), 0, log_in, &target, &error) != SECRETCACHE_OK) {
            printf("failed: %s\n", secretcache_error_message(error).data);
            secretcache_error_free(error);
        } else {
            PGresult *result = PQexec(target.connection, query);
            printf("%s\n", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : PQerrorMessage(target.connection));
            PQclear(result);
            PQfinish(target.connection);
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
