/* libkvclient for C, and for any language that can call C: a stable ABI of opaque handles.
 *
 *     kv_connection *c = kv_connect(NULL);            // NULL: as the environment says
 *     kv_reply *reply = kv_command(c, "GET", "greeting", (char *)NULL);
 *     if (reply != NULL) printf("%s\n", kv_reply_text(reply, NULL));
 *     else fprintf(stderr, "%s\n", kv_error_message(c));
 *     kv_reply_free(reply);
 *     kv_close(c);
 *
 * No C++ exception passes through. A handle belongs to one thread at a time, but for kv_pool. Texts
 * given back hold any bytes, end with an additional NUL, and live as long as the reply they came
 * from, those about errors until the next call with their handle. A function given a NULL handle
 * does nothing. Manual: libkvclient(3).
 */
#ifndef KV_CLIENT_H
#define KV_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifndef KV_API
#define KV_API __attribute__((visibility("default")))
#endif

/* Why a call failed. The numbers never change. */
typedef enum kv_code {
  KV_OK = 0,
  KV_USAGE = 1,        /* the caller's own words are wrong; nothing was sent */
  KV_CONNECT = 2,      /* cannot connect, or lost: nothing was carried out */
  KV_FATE_UNKNOWN = 3, /* lost after a write had been sent: it may have been carried out or not */
  KV_TIMEOUT = 4,      /* no answer in time; a write may still be carried out */
  KV_DENIED = 5,       /* wrong or missing password */
  KV_PROTOCOL = 6,     /* the server sent what is not RESP, or more than reply-bytes-max */
  KV_LIMIT = 7,        /* arguments over the limits; nothing was sent */
  KV_CRYPTO = 8,       /* sealing or opening failed; nothing was sent, or nothing is given out */
  KV_REPLY = 9,        /* the server answered with an error: the message is its text */
  KV_MEMORY = 10       /* out of memory */
} kv_code;

typedef enum kv_kind {
  KV_NIL = 0,
  KV_TEXT = 1,
  KV_INTEGER = 2,
  KV_DECIMAL = 3,
  KV_BOOLEAN = 4,
  KV_LIST = 5,
  KV_MAP = 6,
  KV_ERROR = 7
} kv_kind;

typedef struct kv_options kv_options;
typedef struct kv_connection kv_connection;
typedef struct kv_reply kv_reply;
typedef struct kv_pool kv_pool;

/* ---- options ---- */

/* The defaults, then what the environment says: KV_URL, KV_HOST, KV_PORT, KV_SOCKET, KV_PASS.
 * What is wrong there kv_options_error tells, and nobody connects with these options. NULL when
 * out of memory. */
KV_API kv_options* kv_options_new(void);
/* name is one of: url host port socket user password name database timeout-ms connect-timeout-ms
 * reconnect (0 or 1) reply-bytes-max, and for sealing: recipients (separated by blanks or commas)
 * sign require-sealed require-signed allow-moved (0 or 1). KV_USAGE if there is no such name or the
 * value does not fit. */
KV_API kv_code kv_options_set(kv_options* options, const char* name, const char* value);
/* Why the last kv_options_ call failed. */
KV_API const char* kv_options_error(const kv_options* options);
KV_API void kv_options_free(kv_options* options);

/* ---- connections ---- */

/* Connects. NULL only when out of memory; otherwise kv_error_code() tells whether it worked, and
 * the handle must be closed either way. options may be NULL and are copied. */
KV_API kv_connection* kv_connect(const kv_options* options);
KV_API void kv_close(kv_connection* connection);

/* Of the last call on this connection. */
KV_API kv_code kv_error_code(const kv_connection* connection);
KV_API const char* kv_error_message(const kv_connection* connection);

/* One command of count arguments; lengths may be NULL if all of them end with NUL. The reply, to
 * be freed, or NULL and an error. The server's error reply is the error KV_REPLY. */
KV_API kv_reply* kv_call(kv_connection* connection, size_t count, const char* const* arguments,
                         const size_t* lengths);
/* The same with C strings as arguments, the last one followed by (char *)NULL. */
KV_API kv_reply* kv_command(kv_connection* connection, const char* word, ...)
    __attribute__((sentinel));

enum { KV_SEAL = 1, KV_OPEN = 2 };
/* As kv_call; KV_SEAL seals every value argument or refuses the call, KV_OPEN opens every sealed
 * element of the reply. Whose keys: the options. */
KV_API kv_reply* kv_call_sealed(kv_connection* connection, unsigned flags, size_t count,
                                const char* const* arguments, const size_t* lengths);

/* Pipelines: kv_queue gathers commands without sending, kv_run sends them all and gives a list of
 * their replies in order, error replies as elements of kind KV_ERROR. The queue is empty then. What
 * can't be sent is refused by kv_queue, which leaves the queue as it was. */
KV_API kv_code kv_queue(kv_connection* connection, size_t count, const char* const* arguments,
                        const size_t* lengths);
KV_API kv_reply* kv_run(kv_connection* connection);

/* The next message the server pushes after SUBSCRIBE or its like, a list: "message", the channel,
 * the text; or "pmessage", the pattern, the channel, the text. NULL and KV_TIMEOUT if none comes in
 * time, KV_CONNECT when the connection is lost, and the subscriptions with it. Anything else may be
 * asked meanwhile; what comes then is kept, the newest 1024 messages. */
KV_API kv_reply* kv_next_push(kv_connection* connection, int64_t timeout_ms);

KV_API void kv_set_timeout(kv_connection* connection, int64_t timeout_ms); /* 0: for ever */
/* Makes a call that is under way end. May be called from a signal handler. */
KV_API void kv_cancel(kv_connection* connection);
/* For poll(2); -1 if not connected. Never read or write it. */
KV_API int kv_descriptor(const kv_connection* connection);

/* ---- replies ---- */

KV_API kv_kind kv_reply_kind(const kv_reply* reply);
/* Bytes of a text or an error; "" for other kinds. length may be NULL. */
KV_API const char* kv_reply_text(const kv_reply* reply, size_t* length);
KV_API int64_t kv_reply_integer(const kv_reply* reply);
KV_API double kv_reply_decimal(const kv_reply* reply);
KV_API int kv_reply_boolean(const kv_reply* reply);
/* Elements of a list, pairs of a map, else 0. */
KV_API size_t kv_reply_count(const kv_reply* reply);
/* Element of a list, value of a map's pair; NULL if there is none. Lives as long as the reply. */
KV_API const kv_reply* kv_reply_item(const kv_reply* reply, size_t i);
KV_API const kv_reply* kv_reply_key(const kv_reply* reply, size_t i);
/* The value of a map's text key; NULL if it has none. */
KV_API const kv_reply* kv_reply_find(const kv_reply* reply, const char* key);
/* Only what a call gave back, never its elements. */
KV_API void kv_reply_free(kv_reply* reply);

/* ---- pools: all functions may be called from any thread ---- */

KV_API kv_pool* kv_pool_new(const kv_options* options, size_t connections_max);
/* A connection to be given back with kv_pool_return, never closed. NULL only when out of memory;
 * otherwise as kv_connect. Waits while all are in use, up to the timeout. */
KV_API kv_connection* kv_pool_take(kv_pool* pool);
KV_API void kv_pool_return(kv_pool* pool, kv_connection* connection);
/* After every connection has been returned. */
KV_API void kv_pool_free(kv_pool* pool);

/* "1.0.0" */
KV_API const char* kv_version(void);

#ifdef __cplusplus
}
#endif

#endif
