/*
 * A YAML or JSON text as a tree of JSON values, with the line of each of its keys and elements.
 *
 * Of YAML only what a person means in a component file: mappings with string keys, sequences,
 * scalars by the core schema of YAML 1.2 (true, false, null, integers, numbers; everything else,
 * and everything quoted, is a string). Anchors, aliases, tags and a second document are mistakes:
 * an alias repeated in depth is how a small file becomes a large one.
 */
#ifndef OSVM_SUPERVISOR_DOCUMENT_H
#define OSVM_SUPERVISOR_DOCUMENT_H

#include <jansson.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "mistakes.h"

#define DOCUMENT_MAX_BYTES (1024 * 1024)
#define DOCUMENT_MAX_DEPTH 32

struct document;

/**
 * Read a text. What does not parse, a key that is there twice, and the like, are added to
 * `mistakes`; the document is then what could be read.
 *
 * @ret_document  freed by document_free()
 * Returns 0; -EINVAL where nothing can be read (the mistakes say why); -ENOMEM. Any thread.
 */
int document_parse(const char *text, size_t len, struct mistakes *mistakes,
                   struct document **ret_document);

/* A document without lines over a value that was had otherwise; it takes its own reference. */
int document_from_json(json_t *root, struct document **ret_document);

void document_free(struct document *document);
DEFINE_CLEANUP(struct document, document_free)

/* The whole of it; borrowed. */
json_t *document_root(const struct document *document);

/**
 * The line of a member of an object, or of an element of an array; the line of the container
 * itself with key NULL. 0 where it has no line. `container` is a value of this document.
 */
unsigned document_key_line(const struct document *document, const json_t *container,
                           const char *key);
unsigned document_element_line(const struct document *document, const json_t *array, size_t index);

#endif
