/*
 * The Motorola MC146818 real-time clock with its CMOS memory, at ports 0x70 and 0x71. It tells
 * UTC from the host's clock (plus what the guest has set) and the PC BIOS's memory sizes; it
 * raises no interrupts, and ACPI does not say that it does.
 */
#ifndef OSVM_GUEST_BOARD_RTC_H
#define OSVM_GUEST_BOARD_RTC_H

#include <pthread.h>
#include <stdint.h>

#include "guest/bus.h"

#define CMOS_SIZE 128

struct rtc {
    struct bus_range range;
    pthread_mutex_t lock;
    uint8_t index;
    uint8_t cmos[CMOS_SIZE];
    int64_t offset_s; /* what the guest set, against the host's clock */
    /* Gives the host's time, seconds since the epoch; a test puts its own here. */
    int64_t (*now)(void);
};

/**
 * @low_ram   bytes of RAM below 4 GiB, for CMOS 0x30–0x35 and 0x15–0x18
 * @high_ram  bytes of RAM from 4 GiB on, for CMOS 0x5b–0x5d
 */
void rtc_init(struct rtc *rtc, uint64_t low_ram, uint64_t high_ram);
void rtc_destroy(struct rtc *rtc);

#endif
