/* The stripped image, byte for byte, for the host's program. */
    .section .rodata.embedded_image, "a", @progbits
    .balign 4096
    .globl embedded_image_start, embedded_image_end
    .type embedded_image_start, @object
    .type embedded_image_end, @object
embedded_image_start:
    .incbin "embedded_image.elf"
embedded_image_end:
    .byte 0
    .size embedded_image_start, embedded_image_end - embedded_image_start

    .section .note.GNU-stack, "", @progbits
