/* The bytes of an image: a file, or memory (the embedded default, tests). */
#ifndef OSVM_LOADER_IMAGE_H
#define OSVM_LOADER_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "guest/memory.h"

struct image;

/**
 * Open a regular file.
 *
 * @ret_image  freed by image_close()
 * Returns 0 or a negative errno, with the reason in err ("no such file", "is a directory, not a
 * file", "is empty"); the name is the caller's to add. A pipe or a device is refused without being
 * waited for.
 */
int image_open(const char *path, struct image **ret_image, struct error *err);

/**
 * An image of a file that is open already, and that nobody changes any more (a sealed memfd).
 *
 * @fd  taken over where it returns 0; its offset is not used
 * Returns 0 or a negative errno.
 */
int image_from_fd(int fd, struct image **ret_image);

/* An image over bytes that the caller keeps as long as the image. Returns 0 or -ENOMEM. */
int image_from_bytes(const void *bytes, size_t size, struct image **ret_image);

void image_close(struct image *image);
DEFINE_CLEANUP(struct image, image_close)

uint64_t image_size(const struct image *image);

/**
 * Copy [offset, offset + len) of the image to buf, or straight into guest memory at gpa.
 * The file may be changed by others meanwhile: what was read once is what counts.
 *
 * Returns 0; -ENODATA where the range is not all inside the image; -EFAULT where it is not all
 * inside guest memory; or the errno of the read.
 */
int image_read(const struct image *image, uint64_t offset, void *buf, size_t len);
int image_read_to_guest(const struct image *image, uint64_t offset, struct guest_memory *mem,
                        uint64_t gpa, uint64_t len);

#endif
