// SPDX-License-Identifier: GPL-2.0-only
/* struct virtqueue_info: Linux 6.11, "virtio: rename find_vqs_info() op to find_vqs()" */
#include <linux/virtio_config.h>

int probe(struct virtio_device *vdev, struct virtqueue **vqs);
int probe(struct virtio_device *vdev, struct virtqueue **vqs)
{
	struct virtqueue_info info[1] = {};

	return virtio_find_vqs(vdev, 1, vqs, info, NULL);
}
