/* lwIP in a guest of one CPU and no operating system: the raw interface, IPv4, TCP, UDP, ARP. */
#ifndef LWIP_PORT_LWIPOPTS_H
#define LWIP_PORT_LWIPOPTS_H

#define NO_SYS                     1
#define SYS_LIGHTWEIGHT_PROT       0
#define LWIP_SOCKET                0
#define LWIP_NETCONN               0
#define LWIP_IPV4                  1
#define LWIP_IPV6                  0
#define LWIP_ARP                   1
#define LWIP_ICMP                  1
#define LWIP_DHCP                  0
#define LWIP_DNS                   0
#define LWIP_STATS                 0
#define LWIP_NETIF_LINK_CALLBACK   0
#define LWIP_NETIF_STATUS_CALLBACK 0

#define MEM_ALIGNMENT      16
#define MEM_SIZE           (4 * 1024 * 1024)
#define MEMP_NUM_TCP_PCB   256
#define MEMP_NUM_TCP_SEG   2048
#define MEMP_NUM_PBUF      2048
#define PBUF_POOL_SIZE     1024
#define PBUF_POOL_BUFSIZE  1600
#define TCP_LISTEN_BACKLOG 1

#define TCP_MSS          1460
#define LWIP_WND_SCALE   1
#define TCP_RCV_SCALE    3
#define TCP_WND          (256 * 1024)
#define TCP_SND_BUF      (256 * 1024)
#define TCP_SND_QUEUELEN 1024
#define TCP_SNDLOWAT     32768
#define TCP_OVERSIZE     TCP_MSS

/* The device may do them: netif.c asks it. */
#define LWIP_CHECKSUM_CTRL_PER_NETIF 1

#endif
