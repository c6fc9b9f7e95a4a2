// SPDX-License-Identifier: Apache-2.0
/*
 * pd-tun: make a network interface through /dev/net/tun and answer for a host
 * behind it, so that a ping of that host succeeds on the machine whose kernel
 * serves the device.
 *
 *	pd-tun [--device PATH] [--name NAME] [--mode tun|tap] [--address A.B.C.D]
 *	       [--pings N] [--seconds N] [--nonblock] [--persist]
 *
 * It says "ready NAME" when the interface exists, answers ARP (tap) and ICMP echo
 * for the address, and ends after N answered pings with the counts. The interface
 * must be set up and pinged by somebody else, on the other side.
 *
 * Exit: 0 when N pings were answered, 1 when not, 2 for wrong arguments.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/if_ether.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/if_ether.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct {
	const char *device;
	const char *name;
	bool tap;
	bool nonblock;
	bool persist;
	struct in_addr address;
	unsigned int pings;
	unsigned int seconds;
} options = {
	.device = "/dev/net/tun",
	.name = "pd%d",
	.tap = true,
	.pings = 5,
	.seconds = 30,
};

static struct {
	unsigned int frames, arps, pings, bytes, others;
} counts;

static const uint8_t our_mac[ETH_ALEN] = { 0x02, 0x50, 0x61, 0x72, 0x61, 0x01 };

static void __attribute__((noreturn)) die(const char *what)
{
	fprintf(stderr, "pd-tun: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint16_t checksum(const void *data, size_t len)
{
	const uint8_t *byte = data;
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)byte[i] << 8 | byte[i + 1];
	if (len & 1)
		sum += (uint32_t)byte[len - 1] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

/* Header and body leave as two segments of one writev: one frame. */
static void send_frame(int fd, const void *head, size_t head_len, const void *body, size_t body_len)
{
	struct iovec v[2] = { { (void *)head, head_len }, { (void *)body, body_len } };

	if (writev(fd, v + !head_len, 2 - !head_len) != (ssize_t)(head_len + body_len))
		die("writing a frame");
}

static bool answer_arp(int fd, uint8_t *frame, size_t len)
{
	struct ether_header *eth = (struct ether_header *)frame;
	struct ether_arp *arp = (struct ether_arp *)(eth + 1);

	if (len < sizeof(*eth) + sizeof(*arp) || arp->ea_hdr.ar_op != htons(ARPOP_REQUEST) ||
	    memcmp(arp->arp_tpa, &options.address, 4))
		return false;
	memcpy(eth->ether_dhost, eth->ether_shost, ETH_ALEN);
	memcpy(eth->ether_shost, our_mac, ETH_ALEN);
	arp->ea_hdr.ar_op = htons(ARPOP_REPLY);
	memcpy(arp->arp_tha, arp->arp_sha, ETH_ALEN);
	memcpy(arp->arp_tpa, arp->arp_spa, 4);
	memcpy(arp->arp_sha, our_mac, ETH_ALEN);
	memcpy(arp->arp_spa, &options.address, 4);
	send_frame(fd, eth, sizeof(*eth), arp, sizeof(*arp));
	counts.arps++;
	return true;
}

/* Turn an echo request around; both checksums were right or it is no ping. */
static bool answer_ping(int fd, const void *link, size_t link_len, uint8_t *packet, size_t len)
{
	struct iphdr *ip = (struct iphdr *)packet;
	size_t head = ip->ihl * 4u, total = ntohs(ip->tot_len);
	struct icmphdr *icmp = (struct icmphdr *)(packet + head);

	if (len < sizeof(*ip) || ip->version != 4 || ip->protocol != IPPROTO_ICMP || total > len ||
	    head + sizeof(*icmp) > total || ip->daddr != options.address.s_addr)
		return false;
	if (icmp->type != ICMP_ECHO || checksum(ip, head) || checksum(icmp, total - head))
		return false;
	ip->daddr = ip->saddr;
	ip->saddr = options.address.s_addr;
	ip->ttl = 64;
	ip->check = 0;
	ip->check = checksum(ip, head);
	icmp->type = ICMP_ECHOREPLY;
	icmp->checksum = 0;
	icmp->checksum = checksum(icmp, total - head);
	send_frame(fd, link, link_len, packet, total);
	counts.pings++;
	counts.bytes += total;
	return true;
}

static bool answer(int fd, uint8_t *frame, size_t len)
{
	struct ether_header *eth = (struct ether_header *)frame, back;

	if (!options.tap)
		return answer_ping(fd, NULL, 0, frame, len);
	if (len < sizeof(*eth))
		return false;
	if (eth->ether_type == htons(ETHERTYPE_ARP))
		return answer_arp(fd, frame, len);
	if (eth->ether_type != htons(ETHERTYPE_IP) || memcmp(eth->ether_dhost, our_mac, ETH_ALEN))
		return false;
	memcpy(back.ether_dhost, eth->ether_shost, ETH_ALEN);
	memcpy(back.ether_shost, our_mac, ETH_ALEN);
	back.ether_type = eth->ether_type;
	return answer_ping(fd, &back, sizeof(back), frame + sizeof(*eth), len - sizeof(*eth));
}

static int open_tun(void)
{
	struct ifreq request = { .ifr_flags = (options.tap ? IFF_TAP : IFF_TUN) | IFF_NO_PI };
	int fd = open(options.device, O_RDWR | O_CLOEXEC | (options.nonblock ? O_NONBLOCK : 0));
	unsigned int features = 0;

	if (fd < 0)
		die(options.device);
	if (ioctl(fd, TUNGETFEATURES, &features))
		die("TUNGETFEATURES");
	if (!(features & (options.tap ? IFF_TAP : IFF_TUN))) {
		errno = EOPNOTSUPP;
		die("TUNGETFEATURES");
	}
	strncpy(request.ifr_name, options.name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &request))
		die("TUNSETIFF");
	if (strchr(request.ifr_name, '%')) {
		fprintf(stderr, "pd-tun: TUNSETIFF left the name as %s\n", request.ifr_name);
		exit(1);
	}
	if (options.persist && ioctl(fd, TUNSETPERSIST, 1))
		die("TUNSETPERSIST");
	memset(&request, 0, sizeof(request));
	if (ioctl(fd, TUNGETIFF, &request))
		die("TUNGETIFF");
	printf("ready %s\n", request.ifr_name);
	fflush(stdout);
	return fd;
}

static void serve(int fd)
{
	static uint8_t frame[65536] __attribute__((aligned(8)));
	time_t end = time(NULL) + options.seconds;
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	while (counts.pings < options.pings && time(NULL) < end) {
		if (poll(&p, 1, 200) < 0)
			die("poll");
		if (!(p.revents & POLLIN))
			continue;
		/* An Ethernet header is 14 bytes: keep the packet behind it aligned. */
		n = read(fd, frame + 2, sizeof(frame) - 2);
		if (n < 0 && errno == EAGAIN)
			continue;
		if (n < 0)
			die("read");
		counts.frames++;
		if (!answer(fd, frame + 2, n))
			counts.others++;
	}
}

static bool set_mode(const char *mode)
{
	options.tap = !strcmp(mode, "tap");
	return options.tap || !strcmp(mode, "tun");
}

static void parse(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "name", required_argument, NULL, 'n' },
		{ "mode", required_argument, NULL, 'm' },
		{ "address", required_argument, NULL, 'a' },
		{ "pings", required_argument, NULL, 'p' },
		{ "seconds", required_argument, NULL, 's' },
		{ "nonblock", no_argument, NULL, 'b' },
		{ "persist", no_argument, NULL, 'e' },
		{ NULL, 0, NULL, 0 },
	};
	bool good = true;
	int c;

	inet_aton("10.99.0.2", &options.address);
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'd')
			options.device = optarg;
		else if (c == 'n')
			options.name = optarg;
		else if (c == 'm')
			good &= set_mode(optarg);
		else if (c == 'a')
			good &= inet_aton(optarg, &options.address) != 0;
		else if (c == 'p')
			options.pings = atoi(optarg);
		else if (c == 's')
			options.seconds = atoi(optarg);
		else if (c == 'b')
			options.nonblock = true;
		else if (c == 'e')
			options.persist = true;
		else
			good = false;
	}
	if (!good || optind != argc) {
		fprintf(stderr, "usage: pd-tun [--device PATH] [--name NAME] [--mode tun|tap] "
				"[--address A.B.C.D] [--pings N] [--seconds N] [--nonblock] "
				"[--persist]\n");
		exit(2);
	}
}

int main(int argc, char **argv)
{
	int fd;

	parse(argc, argv);
	fd = open_tun();
	serve(fd);
	printf("pings %u, bytes %u, ARP %s\n", counts.pings, counts.bytes,
	       options.tap ? (counts.arps ? "answered" : "not asked") : "none");
	fprintf(stderr, "pd-tun: frames %u, ARP %u, others %u\n", counts.frames, counts.arps,
		counts.others);
	return counts.pings >= options.pings ? 0 : 1;
}
