/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and parses; owns nothing, writes nothing. */
#include "helper/pci-config.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "util/cleanup.h"

#define HEADER_TYPE 0x0e
#define EXTENDED 0x100
#define CAPABILITY_SERIAL 0x0003

int pci_config_read(int device_fd, struct pci_config *ret)
{
	_cleanup_fd_ int fd = openat(device_fd, "config", O_RDONLY | O_CLOEXEC);

	ret->size = 0;
	if (fd < 0)
		return -errno;
	while (ret->size < PCI_CONFIG_SIZE) {
		ssize_t n = pread(fd, ret->bytes + ret->size, PCI_CONFIG_SIZE - ret->size, ret->size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		ret->size += n;
	}
	return 0;
}

bool pci_config_is_bridge(const struct pci_config *config)
{
	return config->size <= HEADER_TYPE || (config->bytes[HEADER_TYPE] & 0x7f) != 0;
}

static uint32_t get_u32(const uint8_t *bytes)
{
	return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

uint64_t pci_config_serial(const struct pci_config *config)
{
	size_t offset = EXTENDED;

	/* Each capability takes 8 bytes at least, so a list that loops ends here, too. */
	for (size_t i = 0; i < (PCI_CONFIG_SIZE - EXTENDED) / 8; i++) {
		uint32_t header;

		if (offset < EXTENDED || offset + 12 > config->size)
			return 0;
		header = get_u32(config->bytes + offset);
		if (header == 0 || header == UINT32_MAX)
			return 0;
		if ((header & 0xffff) == CAPABILITY_SERIAL)
			return get_u32(config->bytes + offset + 4) | (uint64_t)get_u32(config->bytes + offset + 8)
									     << 32;
		offset = header >> 20 & 0xffc;
	}
	return 0;
}
