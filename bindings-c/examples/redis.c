/* Runs each line of standard input as a command on a new connection to Redis. It can connect at any time, even while the
 * password rotates: `redis SECRET HOST PORT`.
 *
 *     cc redis.c $(pkg-config --cflags --libs secretcache hiredis) -o redis
 */
#include <hiredis/hiredis.h>
#include <secretcache.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATIENCE_SECONDS 10

struct target {
    const char *host;
    int port;
    redisContext *connection;
};

static int begins_with(const redisReply *reply, const char *word)
{
    return strncmp(reply->str, word, strlen(word)) == 0;
}

/* Tries one version of the credential: user name and password change together. Only a refused login asks for another
 * version. */
static secretcache_login log_in(void *user_data, const secretcache_credential *credential)
{
    struct target *target = user_data;
    secretcache_str user = secretcache_credential_username(credential);
    secretcache_str password = secretcache_credential_password(credential);
    struct timeval patience = {PATIENCE_SECONDS, 0};
    redisContext *connection = redisConnectWithTimeout(target->host, target->port, patience);
    if (!user.data || !password.data || !connection || connection->err) {
        redisFree(connection);
        return SECRETCACHE_LOGIN_ERROR;
    }
    redisSetTimeout(connection, patience);
    redisReply *reply = redisCommand(connection, "AUTH %b %b", user.data, user.length, password.data, password.length);
    secretcache_login login = SECRETCACHE_LOGIN_ERROR;
    if (reply && reply->type == REDIS_REPLY_STATUS) {
        login = SECRETCACHE_LOGIN_ACCEPTED;
    } else if (reply && reply->type == REDIS_REPLY_ERROR && begins_with(reply, "WRONGPASS")) {
        login = SECRETCACHE_LOGIN_REFUSED;
    }
    freeReplyObject(reply);
    if (login == SECRETCACHE_LOGIN_ACCEPTED) {
        target->connection = connection;
    } else {
        redisFree(connection);
    }
    return login;
}

static void run(redisContext *connection, const char *command)
{
    redisReply *reply = redisCommand(connection, command);
    printf("%s\n", reply && reply->str ? reply->str : connection->errstr);
    freeReplyObject(reply);
    redisFree(connection);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: redis SECRET HOST PORT\n");
        return 2;
    }
    struct target target = {argv[2], atoi(argv[3]), NULL};
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
