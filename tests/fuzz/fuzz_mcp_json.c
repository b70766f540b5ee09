/* sdk/json.h with any text: what is taken can be walked to its last string and number. */
#include <stdlib.h>
#include <string.h>

#include "schema.h"
#include "sdk/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at(struct json value)
{
    struct json_walk walk = json_walk(value);
    int64_t integer;

    if (json_is(value, JSON_STRING)) {
        char *text = malloc(json_text_room(value));

        if (json_text_characters(value) > json_text(value, text))
            abort();
        free(text);
    }
    json_integer(value, &integer);
    while (json_walk_next(&walk)) {
        if (walk.named)
            look_at(walk.name);
        look_at(walk.value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size ? size : 1);
    struct json value;

    memcpy(text, data, size);
    if (!json_parse(text, size, &value)) {
        char why[64];

        look_at(value);
        if (!schema_check(value))
            schema_allows(value, value, why, sizeof(why));
    }
    free(text);
    return 0;
}
