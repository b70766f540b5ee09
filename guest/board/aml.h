/*
 * A writer of ACPI Machine Language (ACPI 6.5, section 20.2) into a buffer of fixed size: the few
 * terms that this board's DSDT needs. What does not fit is dropped and remembered in `overflow`,
 * so that a caller writes everything and looks once, at the end.
 *
 * What has a length in front is opened and closed: `mark = aml_open_…(); …; aml_close_…(mark)`.
 */
#ifndef OSVM_GUEST_BOARD_AML_H
#define OSVM_GUEST_BOARD_AML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct aml {
    uint8_t *buf; /* borrowed */
    size_t size;  /* of buf */
    size_t used;
    bool overflow;
};

void aml_bytes(struct aml *aml, const void *bytes, size_t len);

/* Name(name, …): its value is what is written next. `name` is one segment of four characters. */
void aml_name(struct aml *aml, const char *name);

void aml_integer(struct aml *aml, uint64_t value);
void aml_string(struct aml *aml, const char *text);

/* An EISA id, "PNP0501", as the integer it is packed into (ACPI 6.5, section 19.6.38). */
void aml_eisa_id(struct aml *aml, const char *id);

size_t aml_open_scope(struct aml *aml, const char *name);
size_t aml_open_device(struct aml *aml, const char *name);
size_t aml_open_package(struct aml *aml, uint8_t elements);
void aml_close(struct aml *aml, size_t mark);

/* ResourceTemplate() { descriptors: ACPI 6.5, section 6.4 } */
size_t aml_open_resources(struct aml *aml);
/* IO(Decode16, base, base, 1, size) */
void aml_resource_io(struct aml *aml, uint16_t base, uint8_t size);
/* Interrupt(ResourceConsumer, Edge, ActiveHigh, Exclusive) {gsi} */
void aml_resource_edge_interrupt(struct aml *aml, uint32_t gsi);
/* Memory32Fixed(ReadWrite, base, size) */
void aml_resource_memory32(struct aml *aml, uint32_t base, uint32_t size);
/* QWordMemory, fixed, read-write, not cacheable */
void aml_resource_memory64(struct aml *aml, uint64_t base, uint64_t size);
/* WordBusNumber(ResourceProducer, fixed, first to last) */
void aml_resource_buses(struct aml *aml, uint8_t first, uint8_t last);
/* DWordMemory(ResourceProducer, fixed, read-write, not cacheable): a bridge's window */
void aml_resource_window32(struct aml *aml, uint32_t base, uint32_t size);
void aml_close_resources(struct aml *aml, size_t mark);

#endif
