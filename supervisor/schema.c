#include "schema.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/util.h"

#define STRING_MAX_BYTES 4096
#define LIST_MAX         256

/* Where in the document a reader is, for its messages. */
struct place {
    const struct place *outer; /* NULL: the outermost record */
    const char *key;
    unsigned line;
};

struct reading {
    const struct document *document;
    struct mistakes *mistakes;
};

/* "resource_limits.max_memory_mb". */
static void place_name(const struct place *place, char *buf, size_t size)
{
    size_t len = 0;

    if (place->outer && place->outer->key) {
        place_name(place->outer, buf, size);
        len = strlen(buf);
        if (len + 1 < size)
            buf[len++] = '.';
    }
    snprintf(buf + len, size - len, "%.64s", place->key);
}

static void wrong(struct reading *reading, const struct place *place, const char *what)
{
    char name[256];

    place_name(place, name, sizeof(name));
    mistakes_add(reading->mistakes, place->line, "%s: %s", name, what);
}

static void *member(void *record, const struct field *field)
{
    return (char *)record + field->offset;
}

static const void *member_const(const void *record, const struct field *field)
{
    return (const char *)record + field->offset;
}

void schema_init(const struct schema *schema, void *record)
{
    memset(record, 0, schema->size);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        void *value = member(record, field);

        if (field->kind == FIELD_BOOL)
            *(bool *)value = field->preset != 0;
        else if (field->kind == FIELD_UINT || field->kind == FIELD_WORDS)
            *(uint64_t *)value = field->preset;
        else if (field->kind == FIELD_WORD)
            *(int *)value = (int)field->preset - 1;
        else if (field->kind == FIELD_OBJECT)
            schema_init(field->schema, value);
    }
}

void string_list_free(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){0};
}

int string_list_add(struct string_list *list, char *text)
{
    char **items = text ? reallocarray(list->items, list->count + 2, sizeof(*items)) : NULL;

    if (!items) {
        free(text);
        return -ENOMEM;
    }
    list->items = items;
    items[list->count++] = text;
    items[list->count] = NULL;
    return 0;
}

int string_list_read(const json_t *array, struct string_list *list)
{
    json_t *value;
    size_t i;

    json_array_foreach(array, i, value)
    {
        char *copy = json_is_string(value) ? strdup(json_string_value(value)) : NULL;

        if (!copy || string_list_add(list, copy) < 0)
            return -EINVAL;
    }
    return 0;
}

static void record_list_free(const struct schema *schema, struct record_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        schema_free(schema, (char *)list->items + i * schema->size);
    free(list->items);
    *list = (struct record_list){0};
}

void schema_free(const struct schema *schema, void *record)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        void *value = member(record, field);

        if (field->kind == FIELD_STRING)
            free(*(char **)value);
        else if (field->kind == FIELD_STRINGS || field->kind == FIELD_PAIRS)
            string_list_free(value);
        else if (field->kind == FIELD_OBJECT)
            schema_free(field->schema, value);
        else if (field->kind == FIELD_OBJECTS)
            record_list_free(field->schema, value);
    }
    schema_init(schema, record);
}

/* --- reading -----------------------------------------------------------------------------------
 */

static int read_record(struct reading *reading, const struct schema *schema, json_t *object,
                       void *record, const struct place *place);

static void read_uint(struct reading *reading, const struct field *field, const json_t *value,
                      uint64_t *ret_value, const struct place *place)
{
    char text[128];
    json_int_t number;

    if (!json_is_integer(value)) {
        wrong(reading, place, "a whole number is wanted");
        return;
    }
    number = json_integer_value(value);
    if (number >= 0 && (uint64_t)number >= field->min &&
        (!field->max || (uint64_t)number <= field->max)) {
        *ret_value = (uint64_t)number;
        return;
    }
    if (field->max)
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " is not in %" PRIu64 "..%" PRIu64,
                 number, field->min, field->max);
    else
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT " is below %" PRIu64, number,
                 field->min);
    wrong(reading, place, text);
}

/* Whether it is a string of the form that the field has; says what is wrong with it if not. */
static bool check_string(struct reading *reading, const struct field *field, const json_t *value,
                         const struct place *place)
{
    uint64_t max = field->max ? field->max : STRING_MAX_BYTES;
    const char *text = json_string_value(value);
    char said[256];

    if (!text) {
        wrong(reading, place, "text is wanted; put it in quotes where it looks like a number");
        return false;
    }
    if (strlen(text) < field->min || strlen(text) > max) {
        snprintf(said, sizeof(said), "%zu bytes long; %" PRIu64 " to %" PRIu64 " are taken",
                 strlen(text), field->min, max);
        wrong(reading, place, said);
        return false;
    }
    if (field->valid && !field->valid(text)) {
        snprintf(said, sizeof(said), "'%.64s' will not do: %s", text, field->form);
        wrong(reading, place, said);
        return false;
    }
    return true;
}

static int read_string(struct reading *reading, const struct field *field, const json_t *value,
                       char **ret_text, const struct place *place)
{
    char *copy;

    if (!check_string(reading, field, value, place))
        return 0;
    copy = strdup(json_string_value(value));
    if (!copy)
        return -ENOMEM;
    free(*ret_text);
    *ret_text = copy;
    return 0;
}

/* The index of the word, or -1 with all words that there are in the mistake. */
static int find_word(struct reading *reading, const struct field *field, const json_t *value,
                     const struct place *place)
{
    const char *text = json_string_value(value);
    char said[256];
    size_t len;

    for (size_t i = 0; text && i < field->words->count; i++) {
        if (strcmp(text, field->words->list[i]) == 0)
            return (int)i;
    }
    len = text ? (size_t)snprintf(said, sizeof(said), "'%.32s' is none of", text)
               : (size_t)snprintf(said, sizeof(said), "one of these is wanted:");
    for (size_t i = 0; i < field->words->count && len < sizeof(said); i++)
        len += (size_t)snprintf(said + len, sizeof(said) - len, "%s %s", i ? "," : "",
                                field->words->list[i]);
    wrong(reading, place, said);
    return -1;
}

/* The elements of a list, one call each; a scalar alone is a list of one. */
static int for_elements(struct reading *reading, json_t *value, const struct place *place,
                        int (*take)(struct reading *, json_t *, const struct place *, void *),
                        void *context)
{
    if (!json_is_array(value)) {
        wrong(reading, place, "a list is wanted");
        return 0;
    }
    if (json_array_size(value) > LIST_MAX) {
        wrong(reading, place, "more than 256 elements");
        return 0;
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        char key[24];
        struct place inner = {.outer = place, .key = key, .line = place->line};
        unsigned line = document_element_line(reading->document, value, i);
        int r;

        snprintf(key, sizeof(key), "%zu", i + 1);
        inner.line = line ? line : place->line;
        r = take(reading, json_array_get(value, i), &inner, context);
        if (r < 0)
            return r;
    }
    return 0;
}

struct element_target {
    const struct field *field;
    void *value;
};

static int take_string(struct reading *reading, json_t *value, const struct place *place,
                       void *context)
{
    struct element_target *target = context;

    if (!check_string(reading, target->field, value, place))
        return 0;
    return string_list_add(target->value, strdup(json_string_value(value)));
}

static int take_word(struct reading *reading, json_t *value, const struct place *place,
                     void *context)
{
    struct element_target *target = context;
    int word = find_word(reading, target->field, value, place);

    if (word >= 0)
        *(uint64_t *)target->value |= UINT64_C(1) << word;
    return 0;
}

static int take_record(struct reading *reading, json_t *value, const struct place *place,
                       void *context)
{
    struct element_target *target = context;
    struct record_list *list = target->value;
    const struct schema *schema = target->field->schema;
    void *items = reallocarray(list->items, list->count + 1, schema->size);

    if (!items)
        return -ENOMEM;
    list->items = items;
    schema_init(schema, (char *)items + list->count * schema->size);
    list->count++;
    return read_record(reading, schema, value, (char *)items + (list->count - 1) * schema->size,
                       place);
}

static int read_pairs(struct reading *reading, const struct field *field, json_t *object,
                      struct string_list *list, const struct place *place)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) {
        wrong(reading, place, "a mapping of names to texts is wanted");
        return 0;
    }
    json_object_foreach(object, key, value)
    {
        unsigned line = document_key_line(reading->document, object, key);
        struct place inner = {.outer = place, .key = key, .line = line ? line : place->line};
        char *pair;

        if (!*key || strchr(key, '=')) {
            wrong(reading, &inner, "this is no name for a variable");
            continue;
        }
        if (!check_string(reading, field, value, &inner))
            continue;
        if (asprintf(&pair, "%s=%s", key, json_string_value(value)) < 0)
            return -ENOMEM;
        if (string_list_add(list, pair) < 0)
            return -ENOMEM;
    }
    return 0;
}

/* A record, or a scalar that stands for one of its keys. */
static int read_object(struct reading *reading, const struct field *field, json_t *value,
                       void *record, const struct place *place)
{
    json_auto_t *whole = NULL;

    if (json_is_object(value) || !field->shorthand)
        return read_record(reading, field->schema, value, record, place);
    whole = json_pack("{s:O}", field->shorthand, value);
    return whole ? read_record(reading, field->schema, whole, record, place) : -ENOMEM;
}

static int read_field(struct reading *reading, const struct field *field, json_t *value,
                      void *record, const struct place *place)
{
    void *target = member(record, field);
    struct element_target elements = {.field = field, .value = target};
    int word;

    switch (field->kind) {
    case FIELD_BOOL:
        if (json_is_boolean(value))
            *(bool *)target = json_is_true(value);
        else
            wrong(reading, place, "true or false is wanted");
        return 0;
    case FIELD_UINT:
        read_uint(reading, field, value, target, place);
        return 0;
    case FIELD_STRING:
        return read_string(reading, field, value, target, place);
    case FIELD_WORD:
        word = find_word(reading, field, value, place);
        if (word >= 0)
            *(int *)target = word;
        return 0;
    case FIELD_WORDS:
        *(uint64_t *)target = 0;
        return for_elements(reading, value, place, take_word, &elements);
    case FIELD_STRINGS:
        string_list_free(target);
        return for_elements(reading, value, place, take_string, &elements);
    case FIELD_PAIRS:
        string_list_free(target);
        return read_pairs(reading, field, value, target, place);
    case FIELD_OBJECT:
        return read_object(reading, field, value, target, place);
    case FIELD_OBJECTS:
        record_list_free(field->schema, target);
        return for_elements(reading, value, place, take_record, &elements);
    }
    return 0;
}

static const struct field *find_field(const struct schema *schema, const char *key)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].key, key) == 0)
            return &schema->fields[i];
    }
    return NULL;
}

/* The key that is meant by one that does not exist: it differs in one letter, or in its case. */
static const char *near_key(const struct schema *schema, const char *key)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const char *a = schema->fields[i].key, *b = key;

        if (strcasecmp(a, b) == 0)
            return a;
        while (*a && *a == *b)
            a++, b++;
        if (strcmp(a, b) == 0 || (*a && strcmp(a + 1, b) == 0) || (*b && strcmp(a, b + 1) == 0) ||
            (*a && *b && strcmp(a + 1, b + 1) == 0))
            return schema->fields[i].key;
    }
    return NULL;
}

static void unknown_key(struct reading *reading, const struct schema *schema,
                        const struct place *place)
{
    const char *near = near_key(schema, place->key);
    char said[160];

    snprintf(said, sizeof(said), "%s has no such key%s%s%s", schema->name, near ? "; is '" : "",
             near ? near : "", near ? "' meant?" : "");
    wrong(reading, place, said);
}

static int read_record(struct reading *reading, const struct schema *schema, json_t *object,
                       void *record, const struct place *place)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object)) {
        wrong(reading, place, "a mapping (key: value) is wanted");
        return 0;
    }
    json_object_foreach(object, key, value)
    {
        const struct field *field = find_field(schema, key);
        unsigned line = document_key_line(reading->document, object, key);
        struct place inner = {.outer = place, .key = key, .line = line ? line : place->line};
        int r = 0;

        if (!field)
            unknown_key(reading, schema, &inner);
        else if (!json_is_null(value)) /* null: the default */
            r = read_field(reading, field, value, record, &inner);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        struct place inner = {.outer = place, .key = field->key, .line = place->line};

        if (field->required && !json_object_get(object, field->key))
            wrong(reading, &inner, "this key is wanted");
    }
    return 0;
}

int schema_read(const struct schema *schema, const struct document *document, json_t *object,
                void *record, struct mistakes *mistakes)
{
    struct reading reading = {.document = document, .mistakes = mistakes};
    struct place outermost = {.line = document_key_line(document, object, NULL)};

    if (!json_is_object(object)) {
        mistakes_add(mistakes, outermost.line, "%s is a mapping (key: value)", schema->name);
        return 0;
    }
    return read_record(&reading, schema, object, record, &outermost);
}

/* --- writing -----------------------------------------------------------------------------------
 */

json_t *string_list_write(const struct string_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *write_pairs(const struct string_list *list)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < list->count; i++) {
        const char *equals = strchr(list->items[i], '=');
        size_t len = (size_t)(equals - list->items[i]);

        if (json_object_setn_new(object, list->items[i], len, json_string(equals + 1)) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *write_words(const struct words *words, uint64_t set)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < words->count; i++) {
        if ((set >> i & 1) && json_array_append_new(array, json_string(words->list[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *write_records(const struct schema *schema, const struct record_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++) {
        json_t *record = schema_write(schema, (const char *)list->items + i * schema->size);

        if (json_array_append_new(array, record) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* The value of a field; *ret_said is false where it says nothing. NULL then, or out of memory. */
static json_t *write_field(const struct field *field, const void *value, bool *ret_said)
{
    *ret_said = true;
    switch (field->kind) {
    case FIELD_BOOL:
        return json_boolean(*(const bool *)value);
    case FIELD_UINT:
        *ret_said = *(const uint64_t *)value != FIELD_UNSET;
        return *ret_said ? json_integer((json_int_t) * (const uint64_t *)value) : NULL;
    case FIELD_STRING:
        *ret_said = *(char *const *)value != NULL;
        return *ret_said ? json_string(*(char *const *)value) : NULL;
    case FIELD_WORD:
        *ret_said = *(const int *)value != FIELD_WORD_UNSET;
        return *ret_said ? json_string(field->words->list[*(const int *)value]) : NULL;
    case FIELD_WORDS:
        *ret_said = *(const uint64_t *)value != 0;
        return *ret_said ? write_words(field->words, *(const uint64_t *)value) : NULL;
    case FIELD_STRINGS:
        *ret_said = ((const struct string_list *)value)->count > 0;
        return *ret_said ? string_list_write(value) : NULL;
    case FIELD_PAIRS:
        *ret_said = ((const struct string_list *)value)->count > 0;
        return *ret_said ? write_pairs(value) : NULL;
    case FIELD_OBJECT:
        return schema_write(field->schema, value);
    case FIELD_OBJECTS:
        *ret_said = ((const struct record_list *)value)->count > 0;
        return *ret_said ? write_records(field->schema, value) : NULL;
    }
    return NULL;
}

json_t *schema_write(const struct schema *schema, const void *record)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        bool said;
        json_t *value = write_field(field, member_const(record, field), &said);

        if (said && json_object_set_new(object, field->key, value) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}
