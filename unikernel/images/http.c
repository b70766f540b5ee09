/*
 * An HTTP server on TCP, by lwIP over virtio-net. Words of the command line: `ip=` (10.77.0.2),
 * `netmask=` (255.255.255.0), `gateway=` (10.77.0.1), `port=` (80). "READY" on the console says
 * that it listens.
 *
 *   GET /           a greeting
 *   GET /bytes/N    N bytes, i mod 251
 *   POST /sum       how many bytes the body has, and their sum
 *   POST /quit      ends the machine
 */
#include "lwip/init.h"
#include "lwip/tcp.h"
#include "lwip/timeouts.h"
#include "netif_virtio.h"
#include "sdk/boot.h"
#include "sdk/console.h"
#include "sdk/exit.h"
#include "sdk/io.h"
#include "sdk/memory.h"
#include "sdk/string.h"

#define REQUEST_MAX  2048
#define PERIOD       251u
#define PATTERN_SIZE (PERIOD * 128)
#define WAIT_MAX_US  250000
#define ADDRESS_MAX  16

enum stage { IN_HEAD, IN_BODY, IN_ANSWER };

struct client {
    struct tcp_pcb *pcb;
    enum stage stage;
    uint32_t head_length;
    char head[REQUEST_MAX + 1];
    uint64_t body_left, body_length;
    uint32_t body_sum;
    bool summing, quitting;
    char text[512]; /* of the answer; then `bytes` of the pattern */
    uint32_t text_length, text_sent;
    uint64_t bytes, bytes_sent;
};

static uint8_t pattern[PATTERN_SIZE];
static bool ended;

static void answer(struct client *c, const char *status, const char *text, uint64_t bytes)
{
    uint64_t length = strlen(text) + bytes;

    c->text_length = (uint32_t)snprintf(c->text, sizeof(c->text),
                                        "HTTP/1.1 %s\r\nContent-Length: %lu\r\n"
                                        "Content-Type: text/plain\r\nConnection: close\r\n\r\n%s",
                                        status, length, text);
    c->bytes = bytes;
    c->stage = IN_ANSWER;
}

static void answer_body(struct client *c)
{
    char text[64];

    if (c->summing) {
        snprintf(text, sizeof(text), "%lu %u\n", c->body_length, c->body_sum);
        answer(c, "200 OK", text, 0);
    } else {
        c->quitting = true;
        answer(c, "200 OK", "bye\n", 0);
    }
}

/* The number behind `name` in the head; 0 where it is not there. Case as most write it. */
static uint64_t header_number(const char *head, const char *name)
{
    const char *at = strstr(head, name);

    return at ? strtoul(at + strlen(name), NULL, 10) : 0;
}

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static void handle_head(struct client *c)
{
    if (starts(c->head, "GET / ")) {
        answer(c, "200 OK", "osvm: an HTTP server in a virtual machine of its own\n", 0);
    } else if (starts(c->head, "GET /bytes/")) {
        answer(c, "200 OK", "", strtoul(c->head + strlen("GET /bytes/"), NULL, 10));
    } else if (starts(c->head, "POST /sum ") || starts(c->head, "POST /quit ")) {
        c->summing = starts(c->head, "POST /sum ");
        c->body_length = c->body_left = header_number(c->head, "Content-Length: ");
        c->stage = IN_BODY;
        if (c->body_left == 0)
            answer_body(c);
    } else {
        answer(c, "404 Not Found", "there is nothing\n", 0);
    }
}

static void take_head(struct client *c, uint8_t byte)
{
    if (c->head_length == REQUEST_MAX) {
        answer(c, "431 Request Header Fields Too Large", "", 0);
        return;
    }
    c->head[c->head_length++] = (char)byte;
    if (c->head_length >= 4 && memcmp(c->head + c->head_length - 4, "\r\n\r\n", 4) == 0) {
        c->head[c->head_length] = 0;
        handle_head(c);
    }
}

/* Returns how many bytes of it were of the body. */
static u16_t take_body(struct client *c, const uint8_t *bytes, u16_t length)
{
    u16_t taken = length < c->body_left ? length : (u16_t)c->body_left;
    uint32_t sum = 0;

    for (u16_t i = 0; i < taken; i++)
        sum += bytes[i];
    c->body_sum += sum;
    c->body_left -= taken;
    if (c->body_left == 0)
        answer_body(c);
    return taken;
}

/* What comes after the body is of no use. */
static void take(struct client *c, const uint8_t *bytes, u16_t length)
{
    for (u16_t at = 0; at < length && c->stage != IN_ANSWER;) {
        if (c->stage == IN_BODY)
            at = (u16_t)(at + take_body(c, bytes + at, (u16_t)(length - at)));
        else
            take_head(c, bytes[at++]);
    }
}

static void drop(struct client *c)
{
    tcp_arg(c->pcb, NULL);
    tcp_recv(c->pcb, NULL);
    tcp_sent(c->pcb, NULL);
    tcp_err(c->pcb, NULL);
    tcp_poll(c->pcb, NULL, 0);
    free(c);
}

/* Send as much as there is room for; at the end, close. Returns ERR_ABRT where it had to abort. */
static err_t send_more(struct client *c)
{
    struct tcp_pcb *pcb = c->pcb;

    if (c->stage != IN_ANSWER)
        return ERR_OK;
    while (c->text_sent < c->text_length || c->bytes_sent < c->bytes) {
        bool text = c->text_sent < c->text_length;
        const void *from = text ? (const void *)(c->text + c->text_sent)
                                : (const void *)(pattern + c->bytes_sent % PERIOD);
        uint64_t length = text ? c->text_length - c->text_sent : c->bytes - c->bytes_sent;
        uint32_t room = tcp_sndbuf(pcb);

        if (!text && length > PATTERN_SIZE - PERIOD)
            length = PATTERN_SIZE - PERIOD;
        if (length > room)
            length = room;
        /* The pattern stays where it is; the text goes with the client. */
        if (length == 0 ||
            tcp_write(pcb, from, (u16_t)length, text ? TCP_WRITE_FLAG_COPY : 0) != ERR_OK)
            break;
        if (text)
            c->text_sent += (uint32_t)length;
        else
            c->bytes_sent += length;
    }
    tcp_output(pcb);
    if (c->text_sent < c->text_length || c->bytes_sent < c->bytes)
        return ERR_OK;
    ended = ended || c->quitting;
    drop(c);
    if (tcp_close(pcb) == ERR_OK)
        return ERR_OK;
    tcp_abort(pcb);
    return ERR_ABRT;
}

static err_t on_receive(void *argument, struct tcp_pcb *pcb, struct pbuf *p, err_t error)
{
    struct client *c = argument;

    if (!p || error != ERR_OK) {
        if (p)
            pbuf_free(p);
        drop(c);
        if (tcp_close(pcb) == ERR_OK)
            return ERR_OK;
        tcp_abort(pcb);
        return ERR_ABRT;
    }
    for (const struct pbuf *part = p; part; part = part->next)
        take(c, part->payload, part->len);
    tcp_recved(pcb, p->tot_len);
    pbuf_free(p);
    return send_more(c);
}

static err_t on_sent(void *argument, struct tcp_pcb *pcb, u16_t length)
{
    (void)pcb;
    (void)length;
    return send_more(argument);
}

static err_t on_poll(void *argument, struct tcp_pcb *pcb)
{
    (void)pcb;
    return send_more(argument);
}

static void on_error(void *argument, err_t error)
{
    (void)error; /* the connection is gone already */
    free(argument);
}

static err_t on_accept(void *argument, struct tcp_pcb *pcb, err_t error)
{
    struct client *c = error == ERR_OK && pcb ? calloc(1, sizeof(*c)) : NULL;

    (void)argument;
    if (!c)
        return ERR_MEM;
    c->pcb = pcb;
    tcp_arg(pcb, c);
    tcp_recv(pcb, on_receive);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    tcp_poll(pcb, on_poll, 2);
    return ERR_OK;
}

/* A word's value, or what stands for it. */
static const char *word(const char *name, const char *otherwise, char *buffer)
{
    const char *value = boot_option(name);
    size_t n = 0;

    if (!value)
        return otherwise;
    for (; n < ADDRESS_MAX - 1 && value[n] && value[n] != ' '; n++)
        buffer[n] = value[n];
    buffer[n] = 0;
    return buffer;
}

static bool listen(u16_t port)
{
    struct tcp_pcb *pcb = tcp_new();

    if (!pcb || tcp_bind(pcb, IP_ADDR_ANY, port) != ERR_OK)
        return false;
    pcb = tcp_listen(pcb);
    if (!pcb)
        return false;
    tcp_accept(pcb, on_accept);
    return true;
}

/* Halted while nothing comes, until lwIP's next timer. */
static void serve(struct netif *netif, struct net *net, uint64_t microseconds)
{
    uint64_t wait = (uint64_t)sys_timeouts_sleeptime() * 1000;

    sys_check_timeouts();
    if (!netif_virtio_poll(netif))
        net_wait(net, wait < microseconds ? wait : microseconds);
}

int main(void)
{
    char ip[ADDRESS_MAX], netmask[ADDRESS_MAX], gateway[ADDRESS_MAX];
    u16_t port = (u16_t)boot_option_number("port", 80);
    struct netif netif;
    struct net net;

    for (unsigned i = 0; i < PATTERN_SIZE; i++)
        pattern[i] = (uint8_t)(i % PERIOD);
    if (!net_open(&net, 0, NET_WANTED)) {
        printf("there is no network device that works\n");
        return 1;
    }
    lwip_init();
    if (!netif_virtio_add(&netif, &net, word("ip", "10.77.0.2", ip),
                          word("netmask", "255.255.255.0", netmask),
                          word("gateway", "10.77.0.1", gateway)) ||
        !listen(port)) {
        printf("no such address or port\n");
        return 1;
    }
    if (osvm_port_present())
        port_out32(OSVM_PORT, OSVM_MILESTONE_READY);
    printf("READY: port %u\n", port);
    while (!ended)
        serve(&netif, &net, WAIT_MAX_US);
    for (unsigned i = 0; i < 10; i++) /* the last answer is on its way */
        serve(&netif, &net, WAIT_MAX_US / 10);
    net_close(&net);
    return 0;
}
