/* Component files as the user names them; osvm check. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../document.h"
#include "base/cleanup.h"
#include "base/io.h"
#include "command.h"

static void tell(const char *path, const struct mistakes *mistakes)
{
    for (size_t i = 0; i < mistakes_kept(mistakes); i++)
        fprintf(stderr, "%s:%u: %s\n", path, mistakes->kept[i].line,
                mistakes->kept[i].text ? mistakes->kept[i].text : "out of memory");
    if (mistakes->count > mistakes_kept(mistakes))
        fprintf(stderr, "%s: and %zu more\n", path, mistakes->count - mistakes_kept(mistakes));
}

int read_component_file(const char *path, struct component *ret_component)
{
    _cleanup_(document_free_cleanup) struct document *document = NULL;
    _cleanup_free_ char *text = NULL;
    struct mistakes mistakes = {0};
    size_t len;
    int r;

    schema_init(&component_schema, ret_component);
    r = io_read_file(path, DOCUMENT_MAX_BYTES, &text, &len);
    if (r < 0)
        return fail(EXIT_FAILED, "cannot read '%s': %s", path, strerror(-r));
    r = document_parse(text, len, &mistakes, &document);
    if (r == 0)
        r = component_read(document, ret_component, &mistakes);
    tell(path, &mistakes);
    if (r == -ENOMEM)
        fail(EXIT_FAILED, "out of memory");
    r = r < 0 || mistakes.count ? EXIT_FAILED : 0;
    mistakes_free(&mistakes);
    return r;
}

int command_check(const struct invocation *invocation)
{
    int status = 0;

    for (int i = 0; i < invocation->argument_count; i++) {
        struct component component;

        if (read_component_file(invocation->arguments[i], &component) != 0)
            status = EXIT_FAILED;
        else if (!invocation->json)
            printf("%s: %s, %s, %s: right\n", invocation->arguments[i], component.metadata.name,
                   component_kind_name((enum component_kind)component.type.kind),
                   isolation_level_name((enum isolation_level)component.isolation.level));
        else {
            json_auto_t *json = component_write(&component);

            json_dumpf(json, stdout, JSON_INDENT(2));
            putchar('\n');
        }
        component_free(&component);
    }
    return status;
}

int command_schema(const struct invocation *invocation)
{
    json_auto_t *json = schema_describe(&component_schema);

    (void)invocation;
    if (!json)
        return fail(EXIT_FAILED, "out of memory");
    json_object_set_new(json, "$schema",
                        json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(json, "title", json_string("osvm component"));
    json_dumpf(json, stdout, JSON_INDENT(2));
    putchar('\n');
    return 0;
}
