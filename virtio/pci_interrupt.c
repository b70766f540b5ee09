/*
 * Interrupts of a virtio-pci function: MSI-X (PCI 3.0, section 6.8) where the driver enables it,
 * otherwise the ISR register and INTA (virtio 1.2, section 4.1.4.5). Sections 6.x are PCI's.
 */
#include "pci_internal.h"

#include <errno.h>
#include <sys/eventfd.h>

#include "base/bytes.h"
#include "base/util.h"

#define ISR_QUEUE  1
#define ISR_CONFIG 2

/* Sections 6.8.2.6 to 6.8.2.9: words of a table entry. */
#define ENTRY_SIZE         16
#define ENTRY_WORD         4
#define ENTRY_ADDRESS_LOW  0
#define ENTRY_ADDRESS_HIGH 4
#define ENTRY_DATA         8
#define ENTRY_CONTROL      12
#define CONTROL_MASK       1U

/* Intel SDM, volume 3, section 11.11.1: a write there is an interrupt; elsewhere it would be one
 * into memory, which is not what this device is for. */
#define MESSAGE_AREA(low) ((low) >> 20)
#define MESSAGE_INTERRUPT 0xfee

/* ---- All of these with the lock held. ---- */

static bool intx_wanted(const struct virtio_pci *pci)
{
    return pci->isr && !pci->msix_enabled;
}

static void update_intx(struct virtio_pci *pci)
{
    pci_host_set_intx(pci->host, &pci->function, intx_wanted(pci) && !pci->intx_disabled);
}

static bool route(struct virtio_pci *pci, const struct virtio_pci_vector *vector)
{
    uint64_t address = (uint64_t)vector->address_high << 32 | vector->address_low;

    if (MESSAGE_AREA(vector->address_low) != MESSAGE_INTERRUPT)
        return false;
    return !pci->host->vm ||
           vm_msi_route(pci->host->vm, vector->irq.gsi, address, vector->data) == 0;
}

/* Send what is pending, unless something masks it. A message that leads nowhere is lost. */
static void deliver(struct virtio_pci *pci, struct virtio_pci_vector *vector)
{
    if (!pci->msix_enabled || pci->msix_masked || (vector->control & CONTROL_MASK))
        return;
    if (vector->changed) {
        vector->routed = route(pci, vector);
        vector->changed = false;
    }
    if (vector->pending && vector->routed)
        irq_line_pulse(&vector->irq);
    vector->pending = false;
}

static void signal_vector(struct virtio_pci *pci, uint16_t number)
{
    if (number >= pci->vector_count) /* VIRTIO_PCI_NO_VECTOR: the driver does not want to know */
        return;
    pci->vectors[number].pending = true;
    deliver(pci, &pci->vectors[number]);
}

static uint16_t *vector_of(struct virtio_pci *pci, int queue)
{
    return queue < 0 ? &pci->config_vector : &pci->queue_vectors[queue];
}

/* ---- For the device. ---- */

static void interrupt(struct virtio_pci *pci, int queue, uint8_t cause)
{
    pthread_mutex_lock(&pci->lock);
    if (pci->msix_enabled) {
        signal_vector(pci, *vector_of(pci, queue));
    } else {
        pci->isr |= cause;
        update_intx(pci);
    }
    pthread_mutex_unlock(&pci->lock);
}

static void interrupt_queue(void *transport, unsigned queue)
{
    interrupt(transport, (int)queue, ISR_QUEUE);
}

static void interrupt_config(void *transport)
{
    interrupt(transport, -1, ISR_CONFIG);
}

const struct virtio_transport_ops virtio_pci_transport_ops = {
    .interrupt_queue = interrupt_queue,
    .interrupt_config = interrupt_config,
};

/* ---- For the driver. ---- */

uint8_t virtio_pci_take_isr(struct virtio_pci *pci)
{
    uint8_t isr;

    pthread_mutex_lock(&pci->lock);
    isr = pci->isr;
    pci->isr = 0;
    update_intx(pci);
    pthread_mutex_unlock(&pci->lock);
    return isr;
}

bool virtio_pci_interrupt_status(struct virtio_pci *pci)
{
    bool wanted;

    pthread_mutex_lock(&pci->lock);
    wanted = intx_wanted(pci);
    pthread_mutex_unlock(&pci->lock);
    return wanted;
}

void virtio_pci_set_intx_disabled(struct virtio_pci *pci, bool disabled)
{
    pthread_mutex_lock(&pci->lock);
    pci->intx_disabled = disabled;
    update_intx(pci);
    pthread_mutex_unlock(&pci->lock);
}

void virtio_pci_set_msix_control(struct virtio_pci *pci, bool enabled, bool masked)
{
    pthread_mutex_lock(&pci->lock);
    pci->msix_enabled = enabled;
    pci->msix_masked = masked;
    for (unsigned i = 0; i < pci->vector_count; i++) {
        if (enabled)
            deliver(pci, &pci->vectors[i]);
        else
            pci->vectors[i].pending = false;
    }
    update_intx(pci);
    pthread_mutex_unlock(&pci->lock);
}

uint16_t virtio_pci_vector(struct virtio_pci *pci, int queue)
{
    uint16_t vector;

    pthread_mutex_lock(&pci->lock);
    vector = *vector_of(pci, queue);
    pthread_mutex_unlock(&pci->lock);
    return vector;
}

void virtio_pci_set_vector(struct virtio_pci *pci, int queue, uint16_t vector)
{
    pthread_mutex_lock(&pci->lock);
    *vector_of(pci, queue) = vector < pci->vector_count ? vector : VIRTIO_PCI_NO_VECTOR;
    pthread_mutex_unlock(&pci->lock);
}

/* The entry that has an offset in the table, or NULL behind the last one. */
static struct virtio_pci_vector *table_entry(struct virtio_pci *pci, uint64_t offset)
{
    return offset / ENTRY_SIZE < pci->vector_count ? &pci->vectors[offset / ENTRY_SIZE] : NULL;
}

static uint32_t *entry_word(struct virtio_pci_vector *vector, uint64_t offset)
{
    switch (offset % ENTRY_SIZE) {
    case ENTRY_ADDRESS_LOW:
        return &vector->address_low;
    case ENTRY_ADDRESS_HIGH:
        return &vector->address_high;
    case ENTRY_DATA:
        return &vector->data;
    default:
        return &vector->control;
    }
}

/* Bits of a word that the driver may change: sections 6.8.2.4 and 6.8.2.9. */
static uint32_t word_mask(uint64_t offset)
{
    switch (offset % ENTRY_SIZE) {
    case ENTRY_ADDRESS_LOW:
        return ~UINT32_C(3);
    case ENTRY_CONTROL:
        return CONTROL_MASK;
    default:
        return UINT32_MAX;
    }
}

/* Section 6.8.2: software uses double words, or quad words, on their alignment; so an access is
 * inside one entry. */
static bool is_words(uint64_t offset, unsigned len)
{
    return len >= ENTRY_WORD && offset % len == 0;
}

void virtio_pci_msix_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len)
{
    struct virtio_pci_vector *vector = table_entry(pci, offset);
    uint8_t *bytes = data;

    memset(data, 0, len);
    if (!vector || !is_words(offset, len))
        return;
    pthread_mutex_lock(&pci->lock);
    for (unsigned i = 0; i < len; i += ENTRY_WORD)
        store_le32(bytes + i, *entry_word(vector, offset + i));
    pthread_mutex_unlock(&pci->lock);
}

static void write_word(struct virtio_pci_vector *vector, uint64_t offset, uint32_t value)
{
    uint32_t *word = entry_word(vector, offset);

    value &= word_mask(offset);
    if (word != &vector->control && *word != value)
        vector->changed = true;
    *word = value;
}

void virtio_pci_msix_write(struct virtio_pci *pci, uint64_t offset, const void *data, unsigned len)
{
    struct virtio_pci_vector *vector = table_entry(pci, offset);
    const uint8_t *bytes = data;

    if (!vector || !is_words(offset, len))
        return;
    pthread_mutex_lock(&pci->lock);
    for (unsigned i = 0; i < len; i += ENTRY_WORD)
        write_word(vector, offset + i, load_le32(bytes + i));
    deliver(pci, vector);
    pthread_mutex_unlock(&pci->lock);
}

void virtio_pci_pba_read(struct virtio_pci *pci, uint64_t offset, void *data, unsigned len)
{
    uint8_t bits[8] = {0};

    memset(data, 0, len);
    if (offset >= sizeof(bits))
        return;
    pthread_mutex_lock(&pci->lock);
    for (unsigned i = 0; i < pci->vector_count; i++)
        bits[i / 8] |= (uint8_t)(pci->vectors[i].pending << i % 8);
    pthread_mutex_unlock(&pci->lock);
    memcpy(data, bits + offset, min_u64(len, sizeof(bits) - offset));
}

/* ---- Life. ---- */

void virtio_pci_interrupts_reset(struct virtio_pci *pci)
{
    pthread_mutex_lock(&pci->lock);
    pci->isr = 0;
    pci->config_vector = VIRTIO_PCI_NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        pci->queue_vectors[i] = VIRTIO_PCI_NO_VECTOR;
    for (unsigned i = 0; i < pci->vector_count; i++)
        pci->vectors[i].pending = false;
    update_intx(pci);
    pthread_mutex_unlock(&pci->lock);
}

static int connect_vector(struct virtio_pci *pci, struct irq_line *irq)
{
    if (pci->host->vm)
        return vm_msi_connect(pci->host->vm, irq);
    irq->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return irq->fd < 0 ? -errno : 0;
}

int virtio_pci_interrupts_init(struct virtio_pci *pci)
{
    pthread_mutex_init(&pci->lock, NULL);
    pci->vector_count = pci->host->board->plain ? 0 : pci->device->queue_count + 1;
    for (unsigned i = 0; i < VIRTIO_PCI_MAX_VECTORS; i++)
        pci->vectors[i] = (struct virtio_pci_vector){
            .irq.fd = -1,
            .control = CONTROL_MASK, /* section 6.8.2.9: masked after a reset */
            .changed = true,
        };
    for (unsigned i = 0; i < pci->vector_count; i++) {
        int r = connect_vector(pci, &pci->vectors[i].irq);

        if (r < 0)
            return r;
    }
    return 0;
}

void virtio_pci_interrupts_deinit(struct virtio_pci *pci)
{
    for (unsigned i = 0; i < VIRTIO_PCI_MAX_VECTORS; i++)
        irq_line_destroy(&pci->vectors[i].irq);
    pthread_mutex_destroy(&pci->lock);
}
