/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The DMA engine of QEMU's edu device, driven through VFIO.
 *
 * It has one buffer of 4096 bytes at its own address 0x40000 and copies between
 * that and memory. It reaches 28 bits of address. QEMU 7.2 takes a transfer
 * that touches the buffer's end for one that overruns it and ends itself, so
 * the pattern goes in halves, both through the first half of the buffer.
 */
#include <errno.h>
#include <linux/pci_regs.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "vfio-abi.h"

enum {
	EDU_IDENTIFICATION = 0x00,
	EDU_DMA_SOURCE = 0x80,
	EDU_DMA_DESTINATION = 0x88,
	EDU_DMA_COUNT = 0x90,
	EDU_DMA_COMMAND = 0x98,

	EDU_DMA_START = 1 << 0, /* reads as 1 until the transfer is done */
	EDU_DMA_TO_MEMORY = 1 << 1,

	EDU_BUFFER = 0x40000,
	EDU_CHUNK = 2048,

	EDU_TIMEOUT_MS = 10000, /* a transfer takes 100 ms */
};

#define PATTERN_SIZE ((size_t)4096)
#define PATTERN_IOVA ((uint64_t)0x100000)

static int get_region(struct session *session, uint32_t index, struct vfio_region_info *ret_region)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };

	if (ioctl(session->device, VFIO_DEVICE_GET_REGION_INFO, &region))
		return say_error("VFIO_DEVICE_GET_REGION_INFO %u: %s", index, strerror(errno));
	*ret_region = region;
	return 0;
}

static int enable_bus_mastering(struct session *session)
{
	struct vfio_region_info config;
	uint16_t command;

	if (get_region(session, VFIO_PCI_CONFIG_REGION_INDEX, &config))
		return -1;
	if (pread(session->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		return say_error("read of the PCI command register: %s", strerror(errno));
	command |= PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
	if (pwrite(session->device, &command, 2, config.offset + PCI_COMMAND) != 2)
		return say_error("write of the PCI command register: %s", strerror(errno));
	return 0;
}

static int map_registers(struct session *session, volatile uint8_t **ret_registers)
{
	struct vfio_region_info bar;
	void *registers;

	if (get_region(session, VFIO_PCI_BAR0_REGION_INDEX, &bar))
		return -1;
	registers = mmap(NULL, bar.size, PROT_READ | PROT_WRITE, MAP_SHARED, session->device, bar.offset);
	if (registers == MAP_FAILED)
		return say_error("mmap of BAR 0: %s", strerror(errno));
	*ret_registers = registers;
	return 0;
}

static uint32_t read_register(volatile uint8_t *registers, unsigned int offset)
{
	return *(volatile uint32_t *)(registers + offset);
}

static void write_register(volatile uint8_t *registers, unsigned int offset, uint32_t value)
{
	*(volatile uint32_t *)(registers + offset) = value;
}

static int transfer(volatile uint8_t *registers, uint32_t source, uint32_t destination, uint32_t command)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int left = EDU_TIMEOUT_MS;

	write_register(registers, EDU_DMA_SOURCE, source);
	write_register(registers, EDU_DMA_DESTINATION, destination);
	write_register(registers, EDU_DMA_COUNT, EDU_CHUNK);
	write_register(registers, EDU_DMA_COMMAND, command | EDU_DMA_START);
	/* The hardware has no other way to tell but an interrupt. */
	while (read_register(registers, EDU_DMA_COMMAND) & EDU_DMA_START) {
		if (!left--)
			return say_error("the transfer did not end within %d ms", EDU_TIMEOUT_MS);
		nanosleep(&pause, NULL);
	}
	return 0;
}

static int there_and_back(volatile uint8_t *registers)
{
	for (uint32_t done = 0; done < PATTERN_SIZE; done += EDU_CHUNK) {
		uint32_t from = PATTERN_IOVA + done;
		uint32_t to = PATTERN_IOVA + PATTERN_SIZE + done;

		if (transfer(registers, from, EDU_BUFFER, 0) || transfer(registers, EDU_BUFFER, to, EDU_DMA_TO_MEMORY))
			return -1;
	}
	return 0;
}

static void fill_pattern(uint8_t *memory)
{
	uint32_t value = (uint32_t)getpid();

	for (size_t i = 0; i < PATTERN_SIZE; i++) {
		value = value * 1103515245 + 12345;
		memory[i] = value >> 16;
		memory[PATTERN_SIZE + i] = ~memory[i];
	}
}

static int compare_pattern(const uint8_t *memory)
{
	for (size_t i = 0; i < PATTERN_SIZE; i++)
		if (memory[i] != memory[PATTERN_SIZE + i])
			return say_error("byte %zu differs: sent 0x%02x, came back 0x%02x", i, memory[i],
					 memory[PATTERN_SIZE + i]);
	return 0;
}

static int set_up(struct session *session, volatile uint8_t **ret_registers, uint8_t **ret_memory)
{
	volatile uint8_t *registers = NULL;
	uint8_t *memory;

	memory = mmap(NULL, 2 * PATTERN_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return say_error("mmap: %s", strerror(errno));
	if (session_map(session, memory, 2 * PATTERN_SIZE, PATTERN_IOVA) || enable_bus_mastering(session) ||
	    map_registers(session, &registers))
		return -1;
	/* 0xRRrr00ed, the revision in the upper half */
	if ((read_register(registers, EDU_IDENTIFICATION) & 0xffff) != 0x00ed)
		return say_error("this is no edu device: identification 0x%08x",
				 read_register(registers, EDU_IDENTIFICATION));
	*ret_registers = registers;
	*ret_memory = memory;
	return 0;
}

static int go_round(volatile uint8_t *registers, uint8_t *memory)
{
	fill_pattern(memory);
	return there_and_back(registers) || compare_pattern(memory) ? -1 : 0;
}

int edu_dma(struct session *session, size_t *ret_bytes)
{
	volatile uint8_t *registers;
	uint8_t *memory;

	if (set_up(session, &registers, &memory) || go_round(registers, memory))
		return -1;
	*ret_bytes = PATTERN_SIZE;
	return 0;
}

int edu_dma_until(struct session *session, int fd, unsigned int *ret_rounds)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };
	volatile uint8_t *registers;
	uint8_t *memory;

	*ret_rounds = 0;
	if (set_up(session, &registers, &memory))
		return -1;
	do {
		if (go_round(registers, memory))
			return -1;
		if (++*ret_rounds == 1)
			puts("going round");
		fflush(stdout);
	} while (poll(&poller, 1, 0) == 0);
	return 0;
}
