#include "document.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "base/util.h"

/*
 * The lines are in a JSON object of their own: "CONTAINER" gives the line of the container,
 * "CONTAINER/KEY" that of a member or element, where CONTAINER is its address. Addresses are good
 * names here: the tree keeps every container alive as long as the lines.
 */
struct document {
    json_t *root;
    json_t *lines;
};

struct reader {
    yaml_parser_t yaml;
    struct document *document;
    struct mistakes *mistakes;
};

#define LINE_NAME_MAX 320

static void line_name(char *buf, const json_t *container, const char *key)
{
    snprintf(buf, LINE_NAME_MAX, key ? "%p/%s" : "%p", (const void *)container, key);
}

static int set_line(struct document *document, const json_t *container, const char *key,
                    unsigned line)
{
    char name[LINE_NAME_MAX];

    line_name(name, container, key);
    return json_object_set_new(document->lines, name, json_integer(line)) < 0 ? -ENOMEM : 0;
}

unsigned document_key_line(const struct document *document, const json_t *container,
                           const char *key)
{
    char name[LINE_NAME_MAX];

    line_name(name, container, key);
    return (unsigned)json_integer_value(json_object_get(document->lines, name));
}

unsigned document_element_line(const struct document *document, const json_t *array, size_t index)
{
    char key[24];

    snprintf(key, sizeof(key), "%zu", index);
    return document_key_line(document, array, key);
}

static unsigned line_of(const yaml_event_t *event)
{
    return (unsigned)event->start_mark.line + 1;
}

/* The next event; its caller deletes it. What does not scan is a mistake, and the end. */
static int next_event(struct reader *reader, yaml_event_t *ret_event)
{
    if (yaml_parser_parse(&reader->yaml, ret_event))
        return 0;
    if (reader->yaml.error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    mistakes_add(reader->mistakes, (unsigned)reader->yaml.problem_mark.line + 1, "not YAML: %s%s%s",
                 reader->yaml.context ? reader->yaml.context : "", reader->yaml.context ? ", " : "",
                 reader->yaml.problem);
    return -EINVAL;
}

/* YAML 1.2, chapter 10.3.2: what a plain scalar is; text that is none of it is a string. */
static json_t *plain_scalar(const char *text, size_t len)
{
    static const char *const nulls[] = {"null", "Null", "NULL", "~", ""};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    char *end;

    for (size_t i = 0; i < ARRAY_SIZE(nulls); i++) {
        if (strcmp(text, nulls[i]) == 0)
            return json_null();
    }
    for (size_t i = 0; i < ARRAY_SIZE(trues); i++) {
        if (strcmp(text, trues[i]) == 0)
            return json_true();
        if (strcmp(text, falses[i]) == 0)
            return json_false();
    }
    if (text[strspn(text, "-+0123456789")] == '\0' && strpbrk(text, "0123456789")) {
        long long value;

        errno = 0;
        value = strtoll(text, &end, 10);
        if (!*end && errno == 0)
            return json_integer(value);
    } else if (text[strspn(text, "-+.eE0123456789")] == '\0' && strpbrk(text, "0123456789")) {
        double value = strtod(text, &end);

        if (!*end)
            return json_real(value);
    }
    return json_stringn(text, len);
}

static int read_scalar(struct reader *reader, const yaml_event_t *event, json_t **ret_value)
{
    const char *text = (const char *)event->data.scalar.value;
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (event->data.scalar.anchor || (event->data.scalar.tag && plain))
        mistakes_add(reader->mistakes, line_of(event), "anchors and tags are not taken here");
    if (strlen(text) != len) {
        mistakes_add(reader->mistakes, line_of(event), "a zero byte is not text");
        len = strlen(text);
    }
    *ret_value = plain ? plain_scalar(text, len) : json_stringn(text, len);
    if (*ret_value)
        return 0;
    mistakes_add(reader->mistakes, line_of(event), "this is not UTF-8");
    return -EINVAL;
}

static int read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
                      json_t **ret_value);

/* Read events up to the container's end; `add` takes each first event of a value, or of a key. */
static int read_sequence(struct reader *reader, json_t *array, unsigned depth)
{
    for (;;) {
        yaml_event_t event;
        json_t *value = NULL;
        char index[24];
        int r = next_event(reader, &event);

        if (r < 0)
            return r;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return 0;
        }
        snprintf(index, sizeof(index), "%zu", json_array_size(array));
        r = set_line(reader->document, array, index, line_of(&event));
        if (r == 0)
            r = read_value(reader, &event, depth, &value);
        yaml_event_delete(&event);
        if (r == 0 && json_array_append_new(array, value) < 0)
            r = -ENOMEM;
        if (r < 0)
            return r;
    }
}

/* The value behind a key, and its place in the object. */
static int read_member(struct reader *reader, json_t *object, const yaml_event_t *key,
                       unsigned depth)
{
    const char *name = (const char *)key->data.scalar.value;
    json_t *value = NULL;
    yaml_event_t event;
    int r = next_event(reader, &event);

    if (r < 0)
        return r;
    r = read_value(reader, &event, depth, &value);
    yaml_event_delete(&event);
    if (r < 0)
        return r;
    if (json_object_get(object, name)) {
        mistakes_add(reader->mistakes, line_of(key), "'%.64s' is there twice", name);
        json_decref(value);
        return 0;
    }
    if (json_object_set_new(object, name, value) < 0) {
        mistakes_add(reader->mistakes, line_of(key), "this key is not UTF-8");
        return -EINVAL;
    }
    return set_line(reader->document, object, name, line_of(key));
}

static int read_mapping(struct reader *reader, json_t *object, unsigned depth)
{
    for (;;) {
        yaml_event_t key;
        int r = next_event(reader, &key);

        if (r < 0)
            return r;
        if (key.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&key);
            return 0;
        }
        if (key.type != YAML_SCALAR_EVENT) {
            mistakes_add(reader->mistakes, line_of(&key), "a key is a plain word here");
            r = -EINVAL;
        } else if (strlen((const char *)key.data.scalar.value) > 255) {
            mistakes_add(reader->mistakes, line_of(&key), "a key of more than 255 bytes");
            r = -EINVAL;
        } else {
            r = read_member(reader, object, &key, depth);
        }
        yaml_event_delete(&key);
        if (r < 0)
            return r;
    }
}

/* The value that begins with `event`, which stays the caller's. */
static int read_value(struct reader *reader, yaml_event_t *event, unsigned depth,
                      json_t **ret_value)
{
    json_auto_t *value = NULL;
    int r;

    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(reader, event, ret_value);
    if (event->type == YAML_ALIAS_EVENT) {
        mistakes_add(reader->mistakes, line_of(event), "aliases (*name) are not taken here");
        *ret_value = json_null();
        return 0;
    }
    if (depth == DOCUMENT_MAX_DEPTH) {
        mistakes_add(reader->mistakes, line_of(event), "nested more than %d deep",
                     DOCUMENT_MAX_DEPTH);
        return -EINVAL;
    }
    value = event->type == YAML_MAPPING_START_EVENT ? json_object() : json_array();
    if (!value)
        return -ENOMEM;
    r = set_line(reader->document, value, NULL, line_of(event));
    if (r == 0 && event->type == YAML_MAPPING_START_EVENT)
        r = read_mapping(reader, value, depth + 1);
    else if (r == 0)
        r = read_sequence(reader, value, depth + 1);
    if (r < 0)
        return r;
    *ret_value = json_incref(value);
    return 0;
}

/* Everything from the stream's start to its end. */
static int read_stream(struct reader *reader)
{
    for (;;) {
        yaml_event_t event;
        yaml_event_type_t type;
        int r = next_event(reader, &event);

        if (r < 0)
            return r;
        type = event.type;
        if (type == YAML_DOCUMENT_START_EVENT && reader->document->root) {
            mistakes_add(reader->mistakes, line_of(&event), "a second document; one a file");
            r = -EINVAL;
        } else if (type != YAML_STREAM_START_EVENT && type != YAML_DOCUMENT_START_EVENT &&
                   type != YAML_DOCUMENT_END_EVENT && type != YAML_STREAM_END_EVENT) {
            r = read_value(reader, &event, 0, &reader->document->root);
        }
        yaml_event_delete(&event);
        if (r < 0 || type == YAML_STREAM_END_EVENT)
            return r;
    }
}

static int document_new(struct document **ret_document)
{
    struct document *document = calloc(1, sizeof(*document));

    if (!document)
        return -ENOMEM;
    document->lines = json_object();
    if (!document->lines) {
        free(document);
        return -ENOMEM;
    }
    *ret_document = document;
    return 0;
}

int document_parse(const char *text, size_t len, struct mistakes *mistakes,
                   struct document **ret_document)
{
    _cleanup_(document_free_cleanup) struct document *document = NULL;
    struct reader reader = {.mistakes = mistakes};
    int r;

    if (len > DOCUMENT_MAX_BYTES) {
        mistakes_add(mistakes, 1, "more than %d bytes", DOCUMENT_MAX_BYTES);
        return -EINVAL;
    }
    r = document_new(&document);
    if (r < 0)
        return r;
    if (!yaml_parser_initialize(&reader.yaml))
        return -ENOMEM;
    yaml_parser_set_input_string(&reader.yaml, (const unsigned char *)text, len);
    yaml_parser_set_encoding(&reader.yaml, YAML_UTF8_ENCODING);
    reader.document = document;
    r = read_stream(&reader);
    yaml_parser_delete(&reader.yaml);
    if (r == 0 && !document->root) {
        mistakes_add(mistakes, 1, "there is nothing in it");
        r = -EINVAL;
    }
    if (r == 0)
        *ret_document = take_ptr(document);
    return r;
}

int document_from_json(json_t *root, struct document **ret_document)
{
    int r = document_new(ret_document);

    if (r == 0)
        (*ret_document)->root = json_incref(root);
    return r;
}

void document_free(struct document *document)
{
    if (!document)
        return;
    json_decref(document->root);
    json_decref(document->lines);
    free(document);
}

json_t *document_root(const struct document *document)
{
    return document->root;
}
