/* The JSON Schema of a table. */
#include <string.h>

#include "schema.h"

/* Put a new reference in; a NULL one (out of memory) shows in the end, by the object's absence. */
static bool put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static json_t *words_list(const struct words *words)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < words->count; i++) {
        if (json_array_append_new(list, json_string(words->list[i])) < 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *string_type(const struct field *field)
{
    json_t *type = json_pack("{s:s}", "type", "string");

    if (type && field->min && !put(type, "minLength", json_integer((json_int_t)field->min)))
        return json_decref(type), NULL;
    if (type && field->max && !put(type, "maxLength", json_integer((json_int_t)field->max)))
        return json_decref(type), NULL;
    return type;
}

static json_t *uint_type(const struct field *field)
{
    json_t *type = json_pack("{s:s, s:I}", "type", "integer", "minimum", (json_int_t)field->min);

    if (type && field->max && !put(type, "maximum", json_integer((json_int_t)field->max)))
        return json_decref(type), NULL;
    if (type && field->preset != FIELD_UNSET &&
        !put(type, "default", json_integer((json_int_t)field->preset)))
        return json_decref(type), NULL;
    return type;
}

static json_t *word_type(const struct field *field)
{
    json_t *type = json_pack("{s:o}", "enum", words_list(field->words));

    if (type && field->preset &&
        !put(type, "default", json_string(field->words->list[field->preset - 1])))
        return json_decref(type), NULL;
    return type;
}

/* A record, and the scalar that may stand for it. */
static json_t *object_type(const struct field *field)
{
    const struct schema *schema = field->schema;

    for (size_t i = 0; field->shorthand && i < schema->field_count; i++) {
        if (strcmp(schema->fields[i].key, field->shorthand) == 0)
            return json_pack("{s:[o, o]}", "anyOf", word_type(&schema->fields[i]),
                             schema_describe(schema));
    }
    return schema_describe(schema);
}

static json_t *field_type(const struct field *field)
{
    switch (field->kind) {
    case FIELD_BOOL:
        return json_pack("{s:s, s:b}", "type", "boolean", "default", field->preset != 0);
    case FIELD_UINT:
        return uint_type(field);
    case FIELD_STRING:
        return string_type(field);
    case FIELD_WORD:
        return word_type(field);
    case FIELD_WORDS:
        return json_pack("{s:s, s:{s:o}, s:b}", "type", "array", "items", "enum",
                         words_list(field->words), "uniqueItems", true);
    case FIELD_STRINGS:
        return json_pack("{s:s, s:o}", "type", "array", "items", string_type(field));
    case FIELD_PAIRS:
        return json_pack("{s:s, s:o}", "type", "object", "additionalProperties",
                         string_type(field));
    case FIELD_OBJECT:
        return object_type(field);
    case FIELD_OBJECTS:
        return json_pack("{s:s, s:o}", "type", "array", "items", schema_describe(field->schema));
    }
    return NULL;
}

json_t *schema_describe(const struct schema *schema)
{
    json_auto_t *properties = json_object();
    json_auto_t *required = json_array();

    for (size_t i = 0; i < schema->field_count; i++) {
        const struct field *field = &schema->fields[i];
        json_t *type = field_type(field);

        if (!type || (field->help && !put(type, "description", json_string(field->help))) ||
            (field->required && json_array_append_new(required, json_string(field->key)) < 0)) {
            json_decref(type);
            return NULL;
        }
        if (!put(properties, field->key, type))
            return NULL;
    }
    return json_pack("{s:s, s:O, s:O, s:b}", "type", "object", "properties", properties, "required",
                     required, "additionalProperties", false);
}
