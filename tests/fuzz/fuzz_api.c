/*
 * vmm/api: a stream of requests, as a client sends them, in two pieces; what is a request goes on
 * to what makes of its body a part of the configuration (not where that would open files).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/http.h"
#include "api/settings.h"
#include "base/util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static settings_fn *const functions[] = {
    settings_put_machine, settings_patch_machine, settings_put_vsock,
    settings_put_entropy, settings_put_balloon,   settings_put_serial,
};

static void use_body(const char *text, size_t len)
{
    struct error err = {0};
    json_t *body = NULL;

    if (body_parse(text, len, &body, &err) < 0)
        return;
    for (size_t i = 0; i < ARRAY_SIZE(functions); i++) {
        struct config config;
        struct settings settings = {.config = &config};

        config_init(&config);
        if (functions[i](&settings, NULL, body, &err) < 0)
            free(body_fault(err.text));
        settings_free(&settings);
        config_free(&config);
    }
    json_decref(body);
}

/* A whole one came out of it: all its parts lie in the stream. */
static void check(const struct http_request *request, size_t len)
{
    if (request->len > len || request->len > HTTP_REQUEST_MAX ||
        !range_inside(request->path.start, request->path.len, request->len) ||
        !range_inside(request->method_name.start, request->method_name.len, request->len) ||
        request->body.start + request->body.len != request->len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *stream = (const char *)data;

    use_body(stream, size);
    for (size_t at = 0; at < size;) {
        struct http_parser parser = {0};
        struct http_refusal refusal = {0};
        enum http_result result = http_parse(&parser, stream + at, (size - at) / 2, &refusal);

        if (result == HTTP_MORE)
            result = http_parse(&parser, stream + at, size - at, &refusal);
        if (result == HTTP_REFUSED && (!refusal.text || refusal.status < 400))
            abort();
        if (result != HTTP_WHOLE)
            break;
        check(&parser.request, size - at);
        use_body(stream + at + parser.request.body.start, parser.request.body.len);
        at += parser.request.len;
    }
    return 0;
}
