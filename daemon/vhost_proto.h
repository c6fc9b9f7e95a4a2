/* SPDX-License-Identifier: Apache-2.0 */
/* The vhost-user protocol's numbers and payloads, as far as a back end of ours needs them. */
#ifndef PARADICE_VHOST_PROTO_H
#define PARADICE_VHOST_PROTO_H

#include <assert.h>
#include <stdint.h>

#define VHOST_F_PROTOCOL_FEATURES 30

enum vhost_protocol_feature {
	VHOST_PROTOCOL_MQ = 0,
	VHOST_PROTOCOL_REPLY_ACK = 3,
	VHOST_PROTOCOL_BACKEND_REQ = 5,
	VHOST_PROTOCOL_CONFIG = 9,
	VHOST_PROTOCOL_BACKEND_SEND_FD = 10,
	VHOST_PROTOCOL_RESET_DEVICE = 13,
	VHOST_PROTOCOL_SHARED_OBJECT = 18,
	VHOST_PROTOCOL_SHMEM = 22,
};

enum vhost_request {
	VHOST_GET_FEATURES = 1,
	VHOST_SET_FEATURES = 2,
	VHOST_SET_OWNER = 3,
	VHOST_RESET_OWNER = 4,
	VHOST_SET_MEM_TABLE = 5,
	VHOST_SET_VRING_NUM = 8,
	VHOST_SET_VRING_ADDR = 9,
	VHOST_SET_VRING_BASE = 10,
	VHOST_GET_VRING_BASE = 11,
	VHOST_SET_VRING_KICK = 12,
	VHOST_SET_VRING_CALL = 13,
	VHOST_SET_VRING_ERR = 14,
	VHOST_GET_PROTOCOL_FEATURES = 15,
	VHOST_SET_PROTOCOL_FEATURES = 16,
	VHOST_GET_QUEUE_NUM = 17,
	VHOST_SET_VRING_ENABLE = 18,
	VHOST_SET_BACKEND_REQ_FD = 21,
	VHOST_GET_CONFIG = 24,
	VHOST_SET_CONFIG = 25,
	VHOST_RESET_DEVICE = 34,
	VHOST_GET_SHARED_OBJECT = 41,
	VHOST_GET_SHMEM_CONFIG = 44,
	/*
	 * Not of the standard, from paradice-xen: the guest is the domain @state.index, its regions and pages
	 * are mapped through the descriptor that comes along, /dev/xen/gntdev. Before SET_MEM_TABLE.
	 */
	VHOST_XEN_GRANTS = 0x50440001,
};

enum vhost_backend_request {
	VHOST_BACKEND_SHARED_OBJECT_REMOVE = 7,
	VHOST_BACKEND_SHMEM_MAP = 9,
	VHOST_BACKEND_SHMEM_UNMAP = 10,
};

#define VHOST_VERSION 1u
#define VHOST_FLAG_REPLY 4u
#define VHOST_FLAG_NEED_REPLY 8u

struct vhost_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct vhost_vring_state {
	uint32_t index;
	uint32_t num;
};

struct vhost_vring_addr {
	uint32_t index;
	uint32_t flags;
	uint64_t desc;
	uint64_t used;
	uint64_t avail;
	uint64_t log;
};

/* A ring's index and a flag saying that no descriptor comes along. */
#define VHOST_VRING_INDEX_MASK 0xffu
#define VHOST_VRING_NOFD 0x100u

struct vhost_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t uva;
	uint64_t mmap_offset;
};

#define VHOST_MAX_REGIONS 32

struct vhost_memory {
	uint32_t nregions;
	uint32_t padding;
	struct vhost_region regions[VHOST_MAX_REGIONS];
};

#define VHOST_CONFIG_MAX 256

struct vhost_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t region[VHOST_CONFIG_MAX];
};

struct vhost_shmem_config {
	uint32_t nregions;
	uint32_t padding;
	uint64_t sizes[256];
};

struct vhost_shmem_map {
	uint8_t shmid;
	uint8_t padding[7];
	uint64_t fd_offset;
	uint64_t shm_offset;
	uint64_t len;
	uint64_t flags;
};

#define VHOST_SHMEM_MAP_RW 1u

struct vhost_message {
	struct vhost_header head;
	union {
		uint64_t u64;
		struct vhost_vring_state state;
		struct vhost_vring_addr addr;
		struct vhost_memory memory;
		struct vhost_config config;
		struct vhost_shmem_config shmem;
		struct vhost_shmem_map map;
		uint8_t uuid[16];
	} u;
};

static_assert(sizeof(struct vhost_header) == 12, "header");
static_assert(sizeof(struct vhost_shmem_config) == 2056, "shared memory configuration");
static_assert(sizeof(struct vhost_shmem_map) == 40, "shared memory mapping");

#endif
