/* supervisor/component.h with any text as a component file. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "component.h"
#include "document.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mistakes mistakes = {0};
    struct document *document = NULL;
    struct component component;

    if (document_parse((const char *)data, size, &mistakes, &document) == 0) {
        if (component_read(document, &component, &mistakes) == 0 && mistakes.count == 0)
            json_decref(component_write(&component));
        component_free(&component);
    }
    document_free(document);
    mistakes_free(&mistakes);
    return 0;
}
