/* JSON as the node writes it, and no other: canonical, on one line, without spaces, in printable ASCII. */

#ifndef P2PA_JSON_H
#define P2PA_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH = 32,   /* the deepest answer has 5 */
    JSON_MEMBERS = 64, /* of one object: a peer has 20 */
    DIGITS_MAX = 15,   /* of a number: so many are the same as a double and as text */
};

typedef struct {
    const char *at;
    const char *end;
} Span;

typedef struct {
    char *bytes;
    size_t length;
    size_t room;
} Text;

/* Whether all of it is one value that Python reads and writes again as the same bytes, spaces between items apart. */
bool json_is_canonical(Span text);

/* The values of these members of a canonical object; .at is NULL where it has none. False if it is no object. */
bool json_find(Span object, size_t count, const char *const names[], Span values[]);

/* Each member of a canonical object in turn: `rest` begins as the object. False after the last. */
bool json_next(Span *rest, Span *name, Span *value);

/* A canonical value with a space after each comma and colon, as commands print it. */
void json_spaced(Text *to, Span value);

/* UTF-8 as a JSON string. False if it is not valid UTF-8. */
bool json_string(Text *to, const char *utf8, size_t length);

/* The next character of UTF-8 as RFC 3629 has it: no surrogates, nothing longer than needed. -1 for anything else. */
int32_t utf8_next(const unsigned char **at, const unsigned char *end);

bool span_is(Span span, const char *text);

/* Without memory, these two end the process. */
void text_add(Text *to, const char *bytes, size_t length);
void text_say(Text *to, const char *words);

#endif
