/*
 * Every device that has a driver here is started, and then the machine has nothing to do: it halts
 * until an interrupt, and halts again. Nothing here has a timer. Prints "READY".
 */
#include "sdk/balloon.h"
#include "sdk/block.h"
#include "sdk/console.h"
#include "sdk/cpu.h"
#include "sdk/net.h"
#include "sdk/rng.h"
#include "sdk/vsock.h"

int main(void)
{
    struct block block;
    struct net net;
    struct vsock vsock;
    struct rng rng;
    struct balloon balloon;
    unsigned started = 0;

    started += block_open(&block, 0, UINT64_MAX & ~BLOCK_F_MQ);
    started += net_open(&net, 0, NET_WANTED);
    started += vsock_open(&vsock, UINT64_MAX);
    started += rng_open(&rng, 0);
    started += balloon_open(&balloon, 0);
    printf("READY %u\n", started);
    for (;;)
        cpu_halt();
}
