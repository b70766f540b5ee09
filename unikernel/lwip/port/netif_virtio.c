/* Between lwIP and the network driver; and what else lwIP wants of its surroundings. */
#include "netif_virtio.h"

#include "lwip/etharp.h"
#include "lwip/ip4_addr.h"
#include "lwip/sys.h"
#include "netif/ethernet.h"
#include "sdk/io.h"
#include "sdk/string.h"
#include "sdk/time.h"

#define FRAME_MAX       (14 + 65535)
#define IP_START        14
#define IP_PROTOCOL     (IP_START + 9)
#define IP_ADDRESSES    (IP_START + 12)
#define ETHERTYPE_IP    0x0800
#define PROTOCOL_TCP    6
#define PROTOCOL_UDP    17
#define TCP_CHECKSUM_AT 16
#define UDP_CHECKSUM_AT 6

u32_t sys_now(void)
{
    return (u32_t)(time_us() / 1000);
}

/* Port numbers and first sequence numbers: not to be guessed by accident is all that is asked. */
unsigned lwip_port_random(void)
{
    static uint64_t state;

    state = (state ^ tsc_read()) * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned)(state >> 33);
}

static unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

/* Have the device make the checksum, lwIP having left the field empty: what it begins with is the
 * sum of the pseudo header (virtio 1.2, section 5.1.6.2.1). */
static void ask_for_checksum(uint8_t *frame, uint32_t length, struct net_header *header)
{
    unsigned ip_header, protocol, at;
    uint32_t sum;

    if (length < IP_START + 20 || get16(frame + 12) != ETHERTYPE_IP)
        return;
    ip_header = (frame[IP_START] & 0xfu) * 4;
    protocol = frame[IP_PROTOCOL];
    if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
        return;
    at = protocol == PROTOCOL_TCP ? TCP_CHECKSUM_AT : UDP_CHECKSUM_AT;
    if (length < IP_START + ip_header + at + 2)
        return;
    header->flags = NET_HEADER_NEEDS_CSUM;
    header->csum_start = (uint16_t)(IP_START + ip_header);
    header->csum_offset = (uint16_t)at;
    sum = protocol + get16(frame + IP_START + 2) - ip_header;
    for (unsigned i = 0; i < 8; i += 2)
        sum += get16(frame + IP_ADDRESSES + i);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    frame[header->csum_start + at] = (uint8_t)(sum >> 8);
    frame[header->csum_start + at + 1] = (uint8_t)sum;
}

static err_t output(struct netif *netif, struct pbuf *p)
{
    static uint8_t frame[FRAME_MAX];
    struct net *net = netif->state;
    struct net_header header = {0};

    _Static_assert(FRAME_MAX > UINT16_MAX, "any pbuf fits");
    pbuf_copy_partial(p, frame, p->tot_len, 0);
    if (virtio_has(net->dev, NET_F_CSUM))
        ask_for_checksum(frame, p->tot_len, &header);
    return net_queue(net, &header, frame, p->tot_len) ? ERR_OK : ERR_IF;
}

static err_t init(struct netif *netif)
{
    struct net *net = netif->state;
    uint16_t checks = NETIF_CHECKSUM_ENABLE_ALL;

    netif->name[0] = 'e';
    netif->name[1] = 'n';
    netif->mtu = net->mtu;
    netif->hwaddr_len = sizeof(net->mac);
    memcpy(netif->hwaddr, net->mac, sizeof(net->mac));
    netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
    netif->output = etharp_output;
    netif->linkoutput = output;
    if (virtio_has(net->dev, NET_F_CSUM))
        checks &= (uint16_t) ~(NETIF_CHECKSUM_GEN_TCP | NETIF_CHECKSUM_GEN_UDP);
    if (virtio_has(net->dev, NET_F_GUEST_CSUM))
        checks &= (uint16_t) ~(NETIF_CHECKSUM_CHECK_TCP | NETIF_CHECKSUM_CHECK_UDP);
    NETIF_SET_CHECKSUM_CTRL(netif, checks);
    return ERR_OK;
}

bool netif_virtio_add(struct netif *netif, struct net *net, const char *address,
                      const char *netmask, const char *gateway)
{
    ip4_addr_t ip, mask, gw;

    if (!ip4addr_aton(address, &ip) || !ip4addr_aton(netmask, &mask) || !ip4addr_aton(gateway, &gw))
        return false;
    if (!netif_add(netif, &ip, &mask, &gw, net, init, ethernet_input))
        return false;
    netif_set_default(netif);
    netif_set_up(netif);
    netif_set_link_up(netif);
    return true;
}

bool netif_virtio_poll(struct netif *netif)
{
    static uint8_t frame[FRAME_MAX];
    struct net *net = netif->state;
    bool any = false;
    uint32_t length;

    while ((length = net_receive(net, NULL, frame, sizeof(frame))) > 0) {
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_POOL);

        any = true;
        if (!p)
            continue; /* as a busy wire would */
        pbuf_take(p, frame, (u16_t)length);
        if (netif->input(p, netif) != ERR_OK)
            pbuf_free(p);
    }
    net_kick(net);
    return any;
}
