/*
 * A PCI host bridge (PCI 3.0) with one bus of single-function devices: configuration by ports
 * 0xcf8 and 0xcfc and by ECAM, memory BARs in one window that follow the guest's writes, and INTx.
 *
 * Device 0 is the bridge itself, but for a board that has none. A device's BAR is placed, and
 * answers, from the start, as after a firmware. All that the guest reads and writes here is
 * hostile; nothing of it fails on the host.
 *
 * INTA of device n is GSI 16 + n % 8, as _PRT says, and at the same time an ISA interrupt (11, 10
 * or 5, in the Interrupt Line register) for guests that know neither ACPI nor an IOAPIC. Whoever of
 * the two is not used is masked. Both are level-triggered.
 */
#ifndef OSVM_GUEST_PCI_HOST_H
#define OSVM_GUEST_PCI_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest/bus.h"
#include "guest/layout.h"
#include "guest/vm.h"

#define PCI_DEVICES      32
#define PCI_CONFIG_SIZE  256
#define PCI_PORT_COUNT   8
#define PCI_BAR_UNMAPPED UINT64_MAX

struct pci_function;

struct pci_function_ops {
    /*
     * The guest reads or writes the memory behind the BAR; [offset, offset + len) lies inside it,
     * len is 1, 2, 4 or 8. No lock is held, on vCPU threads, several at once.
     */
    void (*bar_read)(struct pci_function *function, uint64_t offset, void *data, unsigned len);
    void (*bar_write)(struct pci_function *function, uint64_t offset, const void *data,
                      unsigned len);
    /*
     * The rest is called with the host's lock held, and calls nothing of the host but
     * pci_host_set_intx(). Each may be NULL.
     */
    /* The BAR now answers at `base`, or nowhere (PCI_BAR_UNMAPPED). */
    void (*bar_moved)(struct pci_function *function, uint64_t base);
    /* [offset, offset + len) of `config` is about to be read: bring it up to date. */
    void (*config_read)(struct pci_function *function, unsigned offset, unsigned len);
    /* [offset, offset + len) was written, and `config` has what stayed of it. */
    void (*config_written)(struct pci_function *function, unsigned offset, unsigned len);
};

struct pci_id {
    uint16_t vendor, device, subsystem_vendor, subsystem;
    uint32_t class_code; /* 24 bits: class, subclass, interface */
    uint8_t revision;
};

/* One function, embedded in its device, which is found by container_of. */
struct pci_function {
    const struct pci_function_ops *ops; /* NULL: nothing but its configuration */
    uint64_t bar_size; /* bytes: a power of two of at least 16, or 0 for none. BAR 0, 64 bits */
    bool interrupts;   /* it has an INTA */

    /* Kept by the host from pci_host_add() on, under its lock. */
    uint8_t config[PCI_CONFIG_SIZE];
    uint8_t writable[PCI_CONFIG_SIZE]; /* bits that the guest may change */
    uint64_t bar_base;                 /* where it answers; PCI_BAR_UNMAPPED */
    unsigned device;                   /* its number */
    unsigned last_capability, capabilities_end;
};

/* What is of one board and not of another. */
struct pci_board {
    bool bridge;     /* device 0 is the host bridge */
    bool plain;      /* functions have what drives them and no more: no MSI-X */
    uint64_t window; /* where memory BARs lie, and how much there is for them */
    uint64_t window_size;
    uint64_t bar_size; /* the least that a BAR takes; a power of two */
};

/* The board that most guests have, and the one of Hermit's own hypervisor (docs/hermit.md). */
extern const struct pci_board pci_board_pc, pci_board_hermit;

struct pci_host {
    /* For the port bus: 0xcf8–0xcff. For the memory bus: the other two. */
    struct bus_range port_range, ecam_range, window_range;
    const struct pci_board *board; /* borrowed */
    struct bus_range *reset;       /* borrowed */
    struct vm *vm;                 /* borrowed */

    pthread_mutex_t lock; /* the configuration */
    uint32_t address;     /* the register at 0xcf8 */
    uint64_t next_bar;
    struct pci_function bridge;
    struct pci_function *functions[PCI_DEVICES];

    pthread_mutex_t intx_lock;
    uint32_t asserted[IRQ_COUNT]; /* for each GSI, a bit for each device that asserts it */
};

/**
 * Make the bridge. The caller adds its three ranges to the buses.
 *
 * @board  borrowed as long as the host
 * @reset  what answers those accesses of 0xcf8–0xcfb that are not PCI's: the range of the reset
 *         register (guest/board/reset.h), which then is on no bus itself; or NULL
 * @vm     for interrupts and doorbells; NULL in tests: `asserted` then tells the lines' levels
 * Returns 0 or a negative errno. Before the guest runs.
 */
int pci_host_init(struct pci_host *host, const struct pci_board *board, struct bus_range *reset,
                  struct vm *vm);

/* After the vCPUs have ended, and after its functions. */
void pci_host_destroy(struct pci_host *host);

/**
 * Fill in a function's configuration header. `ops`, `bar_size` and `interrupts` are set by the
 * caller before; capabilities and pci_host_add() come after it.
 */
void pci_function_init(struct pci_function *function, const struct pci_id *id);

/**
 * Add a capability at the end of the list: its id and link, and `len` bytes in all, zero and
 * read-only, which the caller fills in.
 * Returns its offset in the configuration, or -ENOSPC.
 */
int pci_function_add_capability(struct pci_function *function, uint8_t id, unsigned len);

/**
 * Put a function on the bus, and place its BAR.
 *
 * @device    its number: up to PCI_DEVICES - 1, and not the bridge's, 0
 * @function  borrowed as long as the host
 * Returns 0; -EINVAL where there is no such number, -EEXIST where it is taken, -ENOSPC where the
 * window is full. Before the guest runs.
 */
int pci_host_add(struct pci_host *host, struct pci_function *function, unsigned device);

/* Assert INTA of a function, or take it back. Any thread, also with the host's lock held. */
void pci_host_set_intx(struct pci_host *host, const struct pci_function *function, bool level);

/* The GSI of a device's INTA where the IOAPIC is used. */
static inline uint32_t pci_intx_gsi(unsigned device)
{
    return IRQ_DEVICE_FIRST + device % (IRQ_COUNT - IRQ_DEVICE_FIRST);
}

#endif
