/*
 * The image that osvm-vmm boots where no kernel is named (unikernel/images/hello.c): an ELF64
 * file with a PVH note, in the program's read-only data. Its length is end - start.
 */
#ifndef EMBEDDED_IMAGE_H
#define EMBEDDED_IMAGE_H

extern const unsigned char embedded_image_start[], embedded_image_end[];

#endif
