#include "json.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool value(const char **at, const char *end, int depth);

bool span_is(Span span, const char *text) {
    size_t length = strlen(text);
    return span.at != NULL && (size_t)(span.end - span.at) == length && memcmp(span.at, text, length) == 0;
}

void text_add(Text *to, const char *bytes, size_t length) {
    if (to->room - to->length < length) {
        size_t room = to->room ? to->room : 4096;
        while (room - to->length < length) {
            room *= 2;
        }
        char *moved = realloc(to->bytes, room);
        if (moved == NULL) {
            fputs("p2p-agents: out of memory\n", stderr);
            exit(EXIT_FAILURE);
        }
        to->bytes = moved;
        to->room = room;
    }
    if (length > 0) {
        memcpy(to->bytes + to->length, bytes, length);
        to->length += length;
    }
}

void text_say(Text *to, const char *words) { text_add(to, words, strlen(words)); }

static bool is_digit(const char *at, const char *end) { return at < end && *at >= '0' && *at <= '9'; }

static bool word(const char **at, const char *end, const char *known) {
    size_t length = strlen(known);
    if ((size_t)(end - *at) < length || memcmp(*at, known, length) != 0) {
        return false;
    }
    *at += length;
    return true;
}

static bool hex4(const char **at, const char *end, unsigned *code) {
    *code = 0;
    for (int digit = 0; digit < 4; digit++, ++*at) {
        if (*at >= end) {
            return false;
        }
        char c = **at;
        if (c >= '0' && c <= '9') {
            *code = *code * 16 + (unsigned)(c - '0');
        } else if (c >= 'a' && c <= 'f') {
            *code = *code * 16 + (unsigned)(c - 'a') + 10;
        } else {
            return false;
        }
    }
    return true;
}

/* Only what cannot stand for itself is escaped, and in its shortest form. */
static bool escape(const char **at, const char *end) {
    if (*at >= end) {
        return false;
    }
    char c = *(*at)++;
    if (c != 'u') {
        return c != '\0' && strchr("\"\\bfnrt", c) != NULL;
    }
    unsigned code;
    if (!hex4(at, end, &code)) {
        return false;
    }
    bool has_shorter = code == '\b' || code == '\f' || code == '\n' || code == '\r' || code == '\t';
    return !has_shorter && (code < 0x20 || code > 0x7e);
}

static bool string(const char **at, const char *end) {
    if (*at >= end || *(*at)++ != '"') {
        return false;
    }
    while (*at < end) {
        char c = *(*at)++;
        if (c == '"') {
            return true;
        }
        if (c < 0x20 || c > 0x7e || (c == '\\' && !escape(at, end))) {
            return false;
        }
    }
    return false;
}

/* Integers, and fractions so short and so near to one that Python writes them back as they stand. */
static bool number(const char **at, const char *end) {
    bool negative = *at < end && **at == '-';
    *at += negative;
    const char *whole = *at;
    while (is_digit(*at, end)) {
        ++*at;
    }
    int digits = (int)(*at - whole);
    if (digits < 1 || digits > DIGITS_MAX || (*whole == '0' && digits > 1)) {
        return false;
    }
    if (*at >= end || **at != '.') {
        return (*at >= end || (**at != 'e' && **at != 'E')) && !(negative && *whole == '0');
    }
    const char *part = ++*at;
    while (is_digit(*at, end)) {
        ++*at;
    }
    int parts = (int)(*at - part);
    if (parts < 1 || parts + digits > DIGITS_MAX || (parts > 1 && (*at)[-1] == '0')) {
        return false;
    }
    bool is_tiny = *whole == '0' && parts > 3 && memcmp(part, "000", 3) == 0; /* from there on it has an exponent */
    return !is_tiny && (*at >= end || (**at != 'e' && **at != 'E'));
}

static bool is_known(const Span *known, int count, Span name) {
    for (int at = 0; at < count; at++) {
        size_t length = (size_t)(name.end - name.at);
        if ((size_t)(known[at].end - known[at].at) == length && memcmp(known[at].at, name.at, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool object(const char **at, const char *end, int depth) {
    Span known[JSON_MEMBERS]; /* Python keeps the last of a name: one that comes twice is not canonical */
    if (*at < end && **at == '}') {
        return ++*at, true;
    }
    for (int count = 0; count < JSON_MEMBERS; count++) {
        Span name = {*at, *at};
        if (!string(at, end)) {
            return false;
        }
        name.end = *at;
        if (is_known(known, count, name) || !word(at, end, ":") || !value(at, end, depth)) {
            return false;
        }
        known[count] = name;
        if (word(at, end, "}")) {
            return true;
        }
        if (!word(at, end, ",")) {
            return false;
        }
    }
    return false;
}

static bool array(const char **at, const char *end, int depth) {
    if (word(at, end, "]")) {
        return true;
    }
    while (value(at, end, depth)) {
        if (word(at, end, "]")) {
            return true;
        }
        if (!word(at, end, ",")) {
            return false;
        }
    }
    return false;
}

static bool value(const char **at, const char *end, int depth) {
    if (*at >= end || depth >= JSON_DEPTH) {
        return false;
    }
    switch (**at) {
    case '{':
        return ++*at, object(at, end, depth + 1);
    case '[':
        return ++*at, array(at, end, depth + 1);
    case '"':
        return string(at, end);
    case 't':
        return word(at, end, "true");
    case 'f':
        return word(at, end, "false");
    case 'n':
        return word(at, end, "null");
    default:
        return number(at, end);
    }
}

bool json_is_canonical(Span text) {
    const char *at = text.at;
    return value(&at, text.end, 0) && at == text.end;
}

bool json_next(Span *rest, Span *name, Span *found) {
    const char *at = rest->at + 1; /* over the brace or comma before it */
    if (at >= rest->end || *rest->at == '}' || *at == '}') {
        return false;
    }
    *name = (Span){at, at};
    if (!string(&at, rest->end)) {
        return false;
    }
    name->end = at;
    *found = (Span){at + 1, at + 1};
    at++;
    if (!value(&at, rest->end, 0)) {
        return false;
    }
    found->end = rest->at = at;
    return true;
}

bool json_find(Span whole, size_t count, const char *const names[], Span values[]) {
    memset(values, 0, count * sizeof *values);
    if (whole.at == NULL || whole.at >= whole.end || *whole.at != '{') {
        return false;
    }
    Span name, found;
    while (json_next(&whole, &name, &found)) {
        Span plain = {name.at + 1, name.end - 1};
        for (size_t at = 0; at < count; at++) {
            if (span_is(plain, names[at])) {
                values[at] = found;
            }
        }
    }
    return true;
}

void json_spaced(Text *to, Span from) {
    bool quoted = false;
    const char *copied = from.at;
    for (const char *at = from.at; at < from.end; at++) {
        if (*at == '"') {
            quoted = !quoted;
        } else if (quoted && *at == '\\') {
            at++;
        } else if (!quoted && (*at == ',' || *at == ':')) {
            text_add(to, copied, (size_t)(at + 1 - copied));
            text_add(to, " ", 1);
            copied = at + 1;
        }
    }
    text_add(to, copied, (size_t)(from.end - copied));
}

int32_t utf8_next(const unsigned char **at, const unsigned char *end) {
    static const int32_t least[] = {0, 0x80, 0x800, 0x10000};
    unsigned char first = *(*at)++;
    int more = first < 0x80 ? 0 : first < 0xc2 ? -1 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : first < 0xf5 ? 3 : -1;
    if (more < 0 || end - *at < more) {
        return -1;
    }
    int32_t code = more == 0 ? first : first & (0x3f >> more);
    for (int left = more; left > 0; left--, ++*at) {
        if ((**at & 0xc0) != 0x80) {
            return -1;
        }
        code = code * 64 + (**at & 0x3f);
    }
    return code < least[more] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? -1 : code;
}

static void escaped(Text *to, unsigned code) {
    static const char names[] = "\"\\\b\f\n\r\t", letters[] = "\"\\bfnrt";
    char spelled[8];
    const char *named = code != 0 && code < 0x80 ? strchr(names, (int)code) : NULL;
    if (named != NULL) {
        snprintf(spelled, sizeof spelled, "\\%c", letters[named - names]);
    } else {
        snprintf(spelled, sizeof spelled, "\\u%04x", code & 0xffff);
    }
    text_say(to, spelled);
}

bool json_string(Text *to, const char *utf8, size_t length) {
    const unsigned char *at = (const unsigned char *)utf8, *end = at + length;
    text_say(to, "\"");
    while (at < end) {
        const unsigned char *plain = at;
        while (at < end && *at >= 0x20 && *at < 0x7f && *at != '"' && *at != '\\') {
            at++;
        }
        text_add(to, (const char *)plain, (size_t)(at - plain));
        if (at == end) {
            break;
        }
        int32_t code = utf8_next(&at, end);
        if (code < 0) {
            return false;
        }
        if (code > 0xffff) {
            escaped(to, 0xd800 + (unsigned)((code - 0x10000) >> 10));
            code = 0xdc00 + ((code - 0x10000) & 0x3ff);
        }
        escaped(to, (unsigned)code);
    }
    text_say(to, "\"");
    return true;
}
