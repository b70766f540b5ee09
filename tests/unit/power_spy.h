/* A power sink that remembers what it was told. */
#ifndef OSVM_TESTS_POWER_SPY_H
#define OSVM_TESTS_POWER_SPY_H

#include "base/util.h"
#include "guest/power.h"

struct power_spy {
    struct power_sink sink;
    unsigned calls;
    enum power_event event; /* of the last call */
    uint8_t status;
};

static inline void power_spy_event(struct power_sink *sink, enum power_event event, uint8_t status)
{
    struct power_spy *spy = container_of(sink, struct power_spy, sink);

    spy->calls++;
    spy->event = event;
    spy->status = status;
}

static inline struct power_spy power_spy_new(void)
{
    return (struct power_spy){.sink.event = power_spy_event};
}

#endif
