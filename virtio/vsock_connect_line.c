#include "vsock_connect_line.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/parse.h"
#include "base/util.h"

static const char word[] = "CONNECT";
static const char blanks[] = " \t";

/* `text` is the line without its line feed. */
static int parse(char *text, uint32_t *ret_port)
{
    size_t word_len = sizeof(word) - 1;
    size_t digits;
    uint64_t port;

    if (strncasecmp(text, word, word_len) != 0)
        return -EPROTO;
    text += word_len;
    if (strspn(text, blanks) == 0)
        return -EPROTO;
    text += strspn(text, blanks);
    digits = strspn(text, "0123456789");
    if (text[digits + strspn(text + digits, " \t\r")] != '\0')
        return -EPROTO;
    text[digits] = '\0';
    if (parse_u64(text, 0, UINT32_MAX, &port) < 0)
        return -EPROTO;
    *ret_port = (uint32_t)port;
    return 1;
}

int vsock_connect_line_feed(struct vsock_connect_line *line, const void *bytes, size_t len,
                            size_t *ret_used, uint32_t *ret_port)
{
    size_t part = min_u64(len, sizeof(line->text) - line->len);
    const char *end = part ? memchr(bytes, '\n', part) : NULL;

    if (end)
        part = (size_t)(end - (const char *)bytes) + 1;
    if (part)
        memcpy(line->text + line->len, bytes, part);
    line->len += part;
    *ret_used = part;
    if (!end)
        return line->len < sizeof(line->text) ? 0 : -EPROTO;
    line->text[line->len - 1] = '\0';
    /* A zero byte in the middle would hide the rest. */
    if (strlen(line->text) != line->len - 1)
        return -EPROTO;
    return parse(line->text, ret_port);
}
