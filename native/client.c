/* The commands that agents run all day, spoken to a running node without an interpreter.
 *
 * The Python command is the measure: this one prints what it would print, byte by byte, or hands the same words over
 * to it. It does so for everything that is unusual: another command or option, output for people, no node, another
 * release, an answer that is not as expected. Nothing is handed over that could then be done twice: a send goes on under
 * its key, a wait with the time it has left, and a page that was printed is only acknowledged.
 *
 * What it mirrors: cli/fast.py (words), cli/hot.py and cli/face.py (commands), paths.py (where the socket is, and whose),
 * control/client.py and control/peer.py (the conversation). Bounds and the release come from there when it is built.
 */

#include "json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#elif defined(__APPLE__)
#include <mach-o/dyld.h>
#include <sys/random.h>
#endif

#define PYTHON "p2p-agents-python" /* the same commands, beside this program */

enum {
    PATH_BYTES = 4096,
    GREETING_BYTES = 1024,
    KEY_BYTES = 16,
    WORDS_ADDED = 2,
    NUMBER_CHARS = 9, /* of a plain number; more is unusual */
};

typedef struct {
    const char *verb;
    const char *to, *text, *cursor;
    const char *as, *id, *type, *reply_to, *from, *after, *timeout, *limit, *reader;
    bool new_reader;
    int json; /* 1, 0, or -1 where nothing was said */
} Command;

static char **arguments;
static int argument_count;
static Text spoken;             /* standard input, as far as it was read */
static bool stdin_read;
static const char *sent_key;    /* the key under which a send that was begun goes on, where the words name none */
static double wait_until = -1;  /* when a wait that was begun is over */
static bool page_printed;       /* what follows is only its acknowledgement */
static int node = -1;

/* --- handing over --------------------------------------------------------------------------------------- */

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void own_path(char path[PATH_BYTES]) {
    path[0] = '\0';
#ifdef __linux__
    ssize_t length = readlink("/proc/self/exe", path, PATH_BYTES - 1);
    path[length > 0 ? length : 0] = '\0';
#elif defined(__APPLE__)
    char raw[PATH_BYTES], found[PATH_BYTES]; /* PATH_MAX is 1024 there */
    uint32_t room = sizeof raw;
    if (_NSGetExecutablePath(raw, &room) == 0 && realpath(raw, found) != NULL) {
        snprintf(path, PATH_BYTES, "%s", found);
    }
#endif
}

/* What was read of standard input can be read again. */
static bool give_back_stdin(void) {
    if (lseek(STDIN_FILENO, -(off_t)spoken.length, SEEK_CUR) >= 0) {
        return true;
    }
#ifdef __linux__
    int copy = memfd_create("stdin", 0);
#else
    FILE *file = tmpfile();
    int copy = file == NULL ? -1 : fileno(file);
#endif
    for (size_t at = 0; copy >= 0 && at < spoken.length;) {
        ssize_t written = write(copy, spoken.bytes + at, spoken.length - at);
        if (written <= 0) {
            return false;
        }
        at += (size_t)written;
    }
    return copy >= 0 && lseek(copy, 0, SEEK_SET) == 0 && dup2(copy, STDIN_FILENO) >= 0 && close(copy) == 0;
}

/* The Python command takes this process's place, with the same words, and what was done already among them. */
static _Noreturn void hand_over(void) {
    static char left[NUMBER_CHARS + 1];
    char path[PATH_BYTES + sizeof PYTHON];
    char **words = calloc((size_t)argument_count + WORDS_ADDED + 1, sizeof *words);
    if (words == NULL || (stdin_read && !give_back_stdin())) {
        fprintf(stderr, "p2p-agents: %s\n", strerror(errno));
        exit(EXIT_FAILURE);
    }
    memcpy(words, arguments, (size_t)argument_count * sizeof *words);
    char **more = words + argument_count;
    if (sent_key != NULL) {
        *more++ = "--id";
        *more++ = (char *)(uintptr_t)sent_key;
    } else if (wait_until >= 0) {
        double seconds = wait_until - now();
        snprintf(left, sizeof left, "%.3f", seconds > 0 ? seconds : 0.0);
        *more++ = "--timeout";
        *more++ = left;
    }
    if (page_printed) {
        dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDOUT_FILENO);
    }
    own_path(path);
    char *name = strrchr(path, '/');
    if (name != NULL) {
        memcpy(name + 1, PYTHON, sizeof PYTHON);
        words[0] = path;
        execv(path, words);
    }
    words[0] = (char *)(uintptr_t)PYTHON;
    execvp(PYTHON, words); /* this program was moved, or replaced while it ran */
    fprintf(stderr, "p2p-agents: %s cannot be run: %s; install p2p-agents again\n", PYTHON, strerror(errno));
    exit(EXIT_FAILURE);
}

static void require(bool usual) {
    if (!usual) {
        hand_over();
    }
}

/* --- words ---------------------------------------------------------------------------------------------- */

typedef enum { TEXT, BODY_TYPE, SECONDS, COUNT, FLAG, JSON, NO_JSON } Kind;

typedef struct {
    const char *verbs; /* that take it; all where it is empty */
    const char *name;
    Kind kind;
    size_t field;
} Option;

#define FIELD(name) offsetof(Command, name)

static const Option OPTIONS[] = {
    {"", "--as", TEXT, FIELD(as)},
    {"", "--json", JSON, 0},
    {"", "--text", NO_JSON, 0},
    {"send", "--id", TEXT, FIELD(id)},
    {"send", "--type", BODY_TYPE, FIELD(type)},
    {"send", "--reply-to", TEXT, FIELD(reply_to)},
    {"wait", "--from", TEXT, FIELD(from)},
    {"wait", "--timeout", SECONDS, FIELD(timeout)},
    {"inbox wait", "--after", TEXT, FIELD(after)},
    {"inbox poll wait", "--limit", COUNT, FIELD(limit)},
    {"inbox poll wait ack", "--reader", TEXT, FIELD(reader)},
    {"inbox poll wait", "--new-reader", FLAG, FIELD(new_reader)},
};

static const char *const VERBS[] = {"send", "inbox", "wait", "poll", "ack", "peers"};

static bool is_plain(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text < 0x20 || *text > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool is_one_of(const char *word, const char *const known[], size_t count) {
    for (size_t at = 0; at < count; at++) {
        if (strcmp(word, known[at]) == 0) {
            return true;
        }
    }
    return false;
}

/* Digits as JSON has them, and with `fraction` a point among them. */
static bool is_number(const char *text, bool fraction) {
    size_t whole = strspn(text, "0123456789"), length = strlen(text);
    if (whole < 1 || length > NUMBER_CHARS || (text[0] == '0' && whole > 1)) {
        return false;
    }
    size_t part = fraction && text[whole] == '.' ? 1 + strspn(text + whole + 1, "0123456789") : 0;
    return part != 1 && whole + part == length;
}

static bool is_value(Kind kind, const char *value) {
    static const char *const types[] = {"text/plain", "text/markdown", "application/json"};
    if (value == NULL || value[0] == '\0' || value[0] == '-' || !is_plain(value)) {
        return false;
    }
    switch (kind) {
    case BODY_TYPE:
        return is_one_of(value, types, sizeof types / sizeof *types);
    case SECONDS:
        return is_number(value, true) && strtod(value, NULL) <= WAIT_MAX_S;
    case COUNT:
        return is_number(value, false) && atoi(value) >= 1 && atoi(value) <= PAGE_MAX;
    default:
        return true;
    }
}

/* Whether the option is known and plainly written; it may take the word after it. */
static bool take_option(Command *to, const char *word, char ***next) {
    size_t length = strcspn(word, "=");
    for (size_t at = 0; at < sizeof OPTIONS / sizeof *OPTIONS; at++) {
        const Option *option = &OPTIONS[at];
        if (strlen(option->name) != length || strncmp(word, option->name, length) != 0) {
            continue;
        }
        if (option->verbs[0] && (to->verb == NULL || strstr(option->verbs, to->verb) == NULL)) {
            return false;
        }
        if (option->kind >= FLAG) {
            if (option->kind == FLAG) {
                *(bool *)((char *)to + option->field) = true;
            } else {
                to->json = option->kind == JSON;
            }
            return word[length] == '\0';
        }
        const char *value = word[length] == '=' ? word + length + 1 : **next != NULL ? *(*next)++ : NULL;
        *(const char **)((char *)to + option->field) = value;
        return is_value(option->kind, value);
    }
    return false;
}

static bool take_words(Command *to, char **words) {
    const char *given[2] = {NULL, NULL};
    size_t count = 0;
    while (*words != NULL) {
        const char *word = *words++;
        if (word[0] == '-' && word[1] != '\0') {
            if (!take_option(to, word, &words)) {
                return false;
            }
        } else if (to->verb == NULL) {
            if (!is_one_of(word, VERBS, sizeof VERBS / sizeof *VERBS)) {
                return false;
            }
            to->verb = word;
        } else if (count < 2) {
            given[count++] = word;
        } else {
            return false;
        }
    }
    if (to->verb == NULL) {
        return false;
    }
    if (strcmp(to->verb, "send") == 0) {
        to->to = given[0];
        to->text = given[1];
        return count == 2 && is_plain(to->to);
    }
    to->cursor = given[0];
    return count == 0 || (strcmp(to->verb, "ack") == 0 && count == 1 && is_plain(to->cursor));
}

/* Whether the answer is for a program. People get colours, columns and folded lines, which are Python's. */
static bool is_for_program(const Command *command) {
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) < 0) {
            return false;
        }
    }
    if (command->json == 0 || (command->json < 0 && isatty(STDOUT_FILENO))) {
        return false;
    }
    bool is_late = strcmp(command->verb, "wait") == 0 || strcmp(command->verb, "poll") == 0; /* to hand an error over */
    return !is_late || !isatty(STDERR_FILENO);
}

/* --- where the node listens ----------------------------------------------------------------------------- */

/* Whether it is written as it would be resolved: absolute, without empty, `.` and `..` parts. */
static bool is_resolved(const char *path) {
    if (path[0] != '/' || strstr(path, "//") || strstr(path, "/./") || strstr(path, "/../")) {
        return false;
    }
    const char *last = strrchr(path, '/');
    return last[1] != '\0' && strcmp(last, "/.") != 0 && strcmp(last, "/..") != 0;
}

static bool is_directory(const char *path) {
    struct stat found;
    return stat(path, &found) == 0 && S_ISDIR(found.st_mode);
}

static bool is_private(const char *directory) {
    struct stat found;
    return lstat(directory, &found) == 0 && S_ISDIR(found.st_mode) && found.st_uid == getuid() &&
           (found.st_mode & 077) == 0;
}

/* As zlib's; a socket is called after its home. */
static unsigned crc32_of(const char *text) {
    unsigned crc = 0xffffffffU;
    for (; *text != '\0'; text++) {
        crc ^= (unsigned char)*text;
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320U : 0);
        }
    }
    return ~crc;
}

static void joined(char to[PATH_BYTES], const char *directory, const char *name) {
    const char *between = directory[strlen(directory) - 1] == '/' ? "" : "/";
    int length = snprintf(to, PATH_BYTES, "%s%s%s", directory, between, name);
    require(length > 0 && length < PATH_BYTES);
}

static void find_home(char home[PATH_BYTES]) {
    const char *given = getenv("P2P_AGENTS_HOME"), *state = getenv("XDG_STATE_HOME"), *user = getenv("HOME");
    if (given != NULL && given[0] != '\0') {
        require(is_resolved(given));
        int length = snprintf(home, PATH_BYTES, "%s", given);
        require(length < PATH_BYTES);
    } else if (state != NULL && state[0] != '\0') {
        require(is_resolved(state));
        joined(home, state, "p2p-agents");
    } else {
        require(user != NULL && is_resolved(user));
        joined(home, user, ".local/state/p2p-agents");
    }
}

/* Where `Home.socket` says it is, and in `directory` what must be closed to others. */
static void find_socket(char path[PATH_BYTES], char directory[PATH_BYTES]) {
    char home[PATH_BYTES], name[32], shared[PATH_BYTES];
    find_home(home);
    snprintf(name, sizeof name, "p2pa-%08x.sock", crc32_of(home));
    snprintf(directory, PATH_BYTES, "/tmp/p2pa-%u", (unsigned)getuid());
    joined(shared, directory, name);
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    bool has_runtime = runtime && runtime[0] && is_directory(runtime) && access(runtime, W_OK | X_OK) == 0;
    require(!has_runtime || is_resolved(runtime));
    bool is_writable = !is_directory(home) || access(home, W_OK | X_OK) == 0;
    const char *candidates[] = {has_runtime ? runtime : NULL, home};
    struct stat found;
    snprintf(path, PATH_BYTES, "%s", shared);
    for (int at = 0; at < 2; at++) {
        char candidate[PATH_BYTES];
        if (candidates[at] == NULL) {
            continue;
        }
        joined(candidate, candidates[at], name);
        if (strlen(candidate) <= SOCKET_PATH_BYTES) {
            bool elsewhere = !is_writable || (is_private(directory) && stat(shared, &found) == 0);
            if (strcmp(candidates[at], home) != 0 || !elsewhere) {
                snprintf(path, PATH_BYTES, "%s", candidate);
                snprintf(directory, PATH_BYTES, "%s", candidate);
                *strrchr(directory, '/') = '\0';
            }
            break;
        }
    }
}

static bool is_own_user(int connected) {
#ifdef __linux__
    struct ucred other;
    socklen_t size = sizeof other;
    return getsockopt(connected, SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 && other.uid == getuid();
#else
    uid_t user;
    gid_t group;
    return getpeereid(connected, &user, &group) == 0 && user == getuid();
#endif
}

/* --- the conversation ----------------------------------------------------------------------------------- */

static Text heard;
static size_t line_start;

/* The next line, without its end. False when the node hung up or the time is over. */
static bool read_line(Span *line, double deadline, size_t most) {
    for (size_t looked = line_start;;) {
        char *end = heard.length > looked ? memchr(heard.bytes + looked, '\n', heard.length - looked) : NULL;
        if (end != NULL) {
            *line = (Span){heard.bytes + line_start, end};
            line_start = (size_t)(end + 1 - heard.bytes);
            return true;
        }
        looked = heard.length;
        double left = deadline - now();
        if (heard.length - line_start > most || left <= 0) {
            return false;
        }
        struct pollfd ready = {.fd = node, .events = POLLIN};
        int found = poll(&ready, 1, (int)(left * 1000) + 1);
        if (found < 0 && errno != EINTR) {
            return false;
        }
        if (found <= 0) {
            continue;
        }
        char chunk[65536];
        ssize_t length = recv(node, chunk, sizeof chunk, 0);
        if (length == 0 || (length < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        text_add(&heard, chunk, length > 0 ? (size_t)length : 0);
    }
}

/* Connect to our own user's node of our own release. Everything else is Python's: it starts, replaces and explains. */
static void reach_node(void) {
    static const char *const names[] = {"node", "protocol"};
    char path[PATH_BYTES], directory[PATH_BYTES];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    find_socket(path, directory);
    require(is_private(directory) && strlen(path) < sizeof address.sun_path);
    memcpy(address.sun_path, path, strlen(path) + 1);
    node = socket(AF_UNIX, SOCK_STREAM, 0);
    require(node >= 0 && fcntl(node, F_SETFD, FD_CLOEXEC) == 0 && fcntl(node, F_SETFL, O_NONBLOCK) == 0);
    require(connect(node, (struct sockaddr *)&address, sizeof address) == 0 && is_own_user(node));
    Span greeting, values[2];
    require(read_line(&greeting, now() + NODE_START_S, GREETING_BYTES) && json_is_canonical(greeting));
    require(json_find(greeting, 2, names, values));
    require(span_is(values[0], "\"" RELEASE "\"") && span_is(values[1], PROTOCOL));
}

/* False when the node does not take all of it: what it has to say is read all the same. */
static bool send_line(const Text *line, double deadline) {
    for (size_t at = 0; at < line->length;) {
        ssize_t sent = send(node, line->bytes + at, line->length - at, 0);
        if (sent >= 0) {
            at += (size_t)sent;
            continue;
        }
        double left = deadline - now();
        if (errno == EAGAIN && left > 0) {
            struct pollfd ready = {.fd = node, .events = POLLOUT};
            poll(&ready, 1, (int)(left * 1000) + 1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

static void add_text(Text *to, const char *name, const char *value) {
    if (value != NULL) {
        text_say(to, ",\"");
        text_say(to, name);
        text_say(to, "\":");
        require(json_string(to, value, strlen(value)));
    }
}

static void add_raw(Text *to, const char *name, const char *value, const char *unless) {
    text_say(to, ",\"");
    text_say(to, name);
    text_say(to, "\":");
    text_say(to, value != NULL ? value : unless);
}

/* --- answers -------------------------------------------------------------------------------------------- */

static int print(const Text *line) {
    for (size_t at = 0; at < line->length;) {
        ssize_t written = write(STDOUT_FILENO, line->bytes + at, line->length - at);
        if (written >= 0) {
            at += (size_t)written;
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = STDOUT_FILENO, .events = POLLOUT};
            poll(&ready, 1, -1);
        } else if (errno == EPIPE) {
            return INTERRUPTED; /* nobody reads: end quietly */
        } else if (errno != EINTR) {
            fprintf(stderr, "p2p-agents: the answer cannot be written: %s\n", strerror(errno));
            return FAILURE;
        }
    }
    return 0;
}

static int print_result(Span result) {
    static const char *const names[] = {"ok"};
    Span values[1];
    Text line = {0};
    require(json_find(result, 1, names, values) && values[0].at == NULL);
    text_say(&line, "{\"ok\": true");
    text_say(&line, span_is(result, "{}") ? "" : ", ");
    json_spaced(&line, (Span){result.at + 1, result.end});
    text_say(&line, "\n");
    return print(&line);
}

enum { CODE, MESSAGE, HINT, RETRYABLE, EXIT, DETAILS, ERROR_PARTS };

static const char *const ERROR_NAMES[] = {"code", "message", "hint", "retryable", "exit", "details"};

static int print_error(Span error, const char *key) {
    Span parts[ERROR_PARTS], name, value;
    Text line = {0};
    bool has_key = false;
    require(!isatty(STDERR_FILENO)); /* a person is told there too */
    require(json_find(error, ERROR_PARTS, ERROR_NAMES, parts));
    for (int part = CODE; part <= HINT; part++) {
        require(parts[part].at != NULL && *parts[part].at == '"' && !span_is(parts[part], "\"\""));
    }
    require(span_is(parts[RETRYABLE], "true") || span_is(parts[RETRYABLE], "false"));
    require(parts[EXIT].at != NULL && parts[EXIT].end - parts[EXIT].at <= 3 && *parts[EXIT].at != '-');
    int status = (int)strtol(parts[EXIT].at, NULL, 10);
    require(status >= 1 && status <= INTERRUPTED);
    require(parts[DETAILS].at == NULL || *parts[DETAILS].at == '{');
    text_say(&line, "{\"ok\": false, \"error\": {");
    for (int part = CODE; part <= RETRYABLE; part++) {
        text_say(&line, part == CODE ? "\"" : ", \"");
        text_say(&line, ERROR_NAMES[part]);
        text_say(&line, "\": ");
        json_spaced(&line, parts[part]);
    }
    for (Span rest = parts[DETAILS]; rest.at != NULL && json_next(&rest, &name, &value);) {
        Span plain = {name.at + 1, name.end - 1};
        has_key = has_key || span_is(plain, "key");
        bool is_said = span_is(plain, "code") || span_is(plain, "message") || span_is(plain, "hint") ||
                       span_is(plain, "retryable");
        if (!is_said) {
            text_say(&line, ", ");
            json_spaced(&line, (Span){name.at, value.end});
        }
    }
    if (key != NULL && !has_key) {
        text_say(&line, ", \"key\": ");
        json_string(&line, key, strlen(key));
    }
    text_say(&line, "}}\n");
    int failed = print(&line);
    return failed ? failed : status;
}

/* The result of a request, or the exit status of what was said instead. */
static bool ask(const Text *params, const char *verb, double patience, const char *key, Span *result, int *status) {
    static const char *const names[] = {"id", "ok", "result", "error", "goodbye"};
    static int number = 0;
    char head[64];
    Text line = {0};
    Span heard_line, values[5];
    snprintf(head, sizeof head, "{\"id\":%d,\"method\":\"%s\",\"params\":{", ++number, verb);
    text_say(&line, head);
    if (params->length > 0) {
        text_add(&line, params->bytes + 1, params->length - 1); /* each begins with a comma */
    }
    text_say(&line, "},\"client\":\"" RELEASE "\"}\n");
    require(line.length <= CONTROL_LINE_BYTES);
    double deadline = now() + patience;
    send_line(&line, deadline);
    bool stopping = false;
    for (;;) {
        if (!read_line(&heard_line, deadline, CONTROL_ANSWER_BYTES)) {
            bool is_late = now() >= deadline;
            require(is_late || (stopping && wait_until >= 0)); /* to wait on, a node that was stopped is not started */
            const char *error = is_late ? UNANSWERED : STOPPED;
            *status = print_error((Span){error, error + strlen(error)}, key);
            return false;
        }
        require(json_is_canonical(heard_line) && json_find(heard_line, 5, names, values));
        if (values[4].at == NULL) {
            break;
        }
        stopping = span_is(values[4], "\"stopping\"");
    }
    snprintf(head, sizeof head, "%d", number);
    require(span_is(values[0], head));
    if (span_is(values[1], "true")) {
        require(values[2].at != NULL && *values[2].at == '{');
        *result = values[2];
        return true;
    }
    require(span_is(values[1], "false") && values[3].at != NULL);
    *status = print_error(values[3], key);
    return false;
}

/* --- commands ------------------------------------------------------------------------------------------- */

static bool is_space(int32_t code) {
    return (code >= 9 && code <= 13) || (code >= 28 && code <= 32) || code == 0x85 || code == 0xa0 || code == 0x1680 ||
           (code >= 0x2000 && code <= 0x200a) || code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f ||
           code == 0x3000;
}

/* Whether a message may be made of it: valid, not too long, and not blank. */
static bool is_body(const char *text, size_t length) {
    const unsigned char *at = (const unsigned char *)text, *end = at + length;
    bool blank = true;
    while (length <= BODY_BYTES && at < end) {
        int32_t code = utf8_next(&at, end);
        if (code < 0) {
            return false;
        }
        blank = blank && is_space(code);
    }
    return !blank;
}

static void read_stdin(void) {
    stdin_read = true;
    while (spoken.length <= BODY_BYTES) {
        char chunk[65536];
        size_t most = BODY_BYTES + 1 - spoken.length;
        ssize_t length = read(STDIN_FILENO, chunk, most < sizeof chunk ? most : sizeof chunk);
        if (length < 0 && errno == EINTR) {
            continue;
        }
        require(length >= 0);
        if (length == 0) {
            return;
        }
        text_add(&spoken, chunk, (size_t)length);
    }
}

static const char *make_key(void) {
    static char key[2 * KEY_BYTES + 1];
    unsigned char random[KEY_BYTES];
    require(getentropy(random, sizeof random) == 0);
    for (int at = 0; at < KEY_BYTES; at++) {
        snprintf(key + 2 * at, 3, "%02x", random[at]);
    }
    return key;
}

static int send_message(const Command *command, Text *params) {
    Text body = {0};
    Span result;
    int status = 0;
    text_add(&body, command->text, strlen(command->text));
    if (strcmp(command->text, "-") == 0) {
        read_stdin();
        body = spoken;
    }
    require(is_body(body.bytes, body.length));
    add_text(params, "to", command->to);
    text_say(params, ",\"text\":");
    require(json_string(params, body.bytes, body.length));
    add_text(params, "type", command->type ? command->type : "text/plain");
    add_text(params, "reply_to", command->reply_to);
    const char *key = command->id ? command->id : make_key();
    add_text(params, "id", key);
    reach_node();
    sent_key = command->id ? NULL : key;
    return ask(params, "send", CALL_S, key, &result, &status) ? print_result(result) : status;
}

static void add_reading(Text *params, const Command *command) {
    add_text(params, "reader", command->reader ? command->reader : "default");
    if (strcmp(command->verb, "ack") != 0) {
        add_raw(params, "limit", command->limit, PAGE_DEFAULT);
    }
    if (command->new_reader) {
        add_raw(params, "new_reader", "true", "");
    }
}

/* The node may go away between the two: the page is out, and all that is left to do is `ack`. */
static int acknowledge(const Command *command, Span cursor, Text *params) {
    static char text[REFERENCE_CHARS + 1];
    Span result;
    int status = 0;
    size_t length = (size_t)(cursor.end - cursor.at) - 2;
    memcpy(text, cursor.at + 1, length);
    page_printed = true;
    add_text(params, "cursor", text);
    add_text(params, "reader", command->reader ? command->reader : "default");
    char *words[] = {arguments[0], "ack", text, "--reader", (char *)(uintptr_t)(command->reader ? command->reader : "default"),
                     command->as ? "--as" : NULL, (char *)(uintptr_t)command->as, NULL};
    arguments = words;
    argument_count = command->as ? 7 : 5;
    return ask(params, "ack", CALL_S, NULL, &result, &status) ? 0 : status;
}

static int poll_messages(const Command *command, Text *params, Text *again) {
    static const char *const names[] = {"messages", "cursor"};
    Span result, values[2];
    int status = 0;
    add_reading(params, command);
    reach_node();
    if (!ask(params, "inbox", CALL_S, NULL, &result, &status)) {
        return status;
    }
    require(json_find(result, 2, names, values) && values[0].at != NULL && *values[0].at == '[');
    bool some = !span_is(values[0], "[]");
    if (some) { /* a cursor that can be said as a word */
        Span cursor = values[1];
        require(cursor.at != NULL && *cursor.at == '"' && cursor.end - cursor.at - 2 <= REFERENCE_CHARS);
        require(cursor.end - cursor.at > 2 && cursor.at[1] != '-' && !memchr(cursor.at, '\\', (size_t)(cursor.end - cursor.at)));
    }
    status = print_result(result);
    return status || !some ? status : acknowledge(command, values[1], again);
}

static int wait_messages(const Command *command, Text *params) {
    static const char *const names[] = {"shared"};
    const char *reader = command->reader ? command->reader : "default";
    const char *timeout = command->timeout ? command->timeout : WAIT_DEFAULT;
    Span result, values[1];
    int status = 0;
    double seconds = strtod(timeout, NULL);
    add_text(params, "from", command->from);
    add_text(params, "after", command->after);
    add_raw(params, "timeout", timeout, "");
    text_say(params, strchr(timeout, '.') ? "" : ".0");
    add_reading(params, command);
    reach_node();
    wait_until = seconds > 0 ? now() + seconds : -1;
    if (!ask(params, "wait", CALL_S + seconds, NULL, &result, &status)) {
        return status;
    }
    require(json_find(result, 1, names, values));
    require(values[0].at == NULL || span_is(values[0], "true") || span_is(values[0], "false"));
    status = print_result(result);
    if (!status && span_is(values[0], "true")) {
        fprintf(stderr, "p2p-agents: another process waits as reader %s: both get every message; see p2p-agents wait --help\n", reader);
    }
    return status;
}

/* inbox, ack, peers: one question, one answer. */
static int simple(const Command *command, Text *params) {
    Span result;
    int status = 0;
    if (strcmp(command->verb, "peers") != 0) {
        add_text(params, "after", command->after);
        add_text(params, "cursor", command->cursor);
        add_reading(params, command);
    }
    reach_node();
    return ask(params, command->verb, CALL_S, NULL, &result, &status) ? print_result(result) : status;
}

static void interrupted(int signal_number) {
    (void)signal_number;
    _exit(INTERRUPTED);
}

static void set_signals(void) {
    struct sigaction before, end = {.sa_handler = interrupted}, none = {.sa_handler = SIG_IGN};
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
        sigaction(SIGINT, &end, NULL);
    }
    sigaction(SIGPIPE, &none, NULL);
}

int main(int count, char **words) {
    Command command = {.json = -1};
    Text params = {0}, again = {0};
    arguments = words;
    argument_count = count;
    require(count > 1 && take_words(&command, words + 1) && is_for_program(&command));
    if (command.as == NULL && (command.as = getenv("P2P_AGENT")) != NULL && command.as[0] == '\0') {
        command.as = NULL;
    }
    require(command.as == NULL || is_plain(command.as));
    set_signals();
    add_text(&params, "agent", command.as);
    add_text(&again, "agent", command.as);
    if (strcmp(command.verb, "send") == 0) {
        return send_message(&command, &params);
    }
    if (strcmp(command.verb, "poll") == 0) {
        return poll_messages(&command, &params, &again);
    }
    if (strcmp(command.verb, "wait") == 0) {
        return wait_messages(&command, &params);
    }
    return simple(&command, &params);
}
