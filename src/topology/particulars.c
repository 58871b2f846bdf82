/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads and formats; owns nothing. Texts that no rule could name, for blanks or bytes in them, count as not there. */
#include "topology/particulars.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"
#include "util/fileio.h"

#define DATABASE_ENTRY_MAX 65536
#define CLASS_NVME 0x0108 /* mass storage, non-volatile memory controller */

DEFINE_CLEANUP(directory, DIR *, closedir)

/* `length` bytes of it, if they are all printable; blanks in between are. */
static void take_text(const char *text, size_t length, char *ret, size_t size)
{
	ret[0] = '\0';
	if (length >= size)
		return;
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return;
	memcpy(ret, text, length);
	ret[length] = '\0';
}

void particulars_read_path(const char *udev_data, const char *bus, const char *address, char ret[DEVICE_PATH_MAX])
{
	static const char property[] = "E:ID_PATH=";
	_cleanup_free_ char *entry = NULL;
	char file[256];

	ret[0] = '\0';
	if ((size_t)snprintf(file, sizeof(file), "%s/+%s:%s", udev_data, bus, address) >= sizeof(file) ||
	    read_whole_file_at(AT_FDCWD, file, DATABASE_ENTRY_MAX, &entry, NULL) < 0)
		return;
	for (const char *line = entry; *line; line += strcspn(line, "\n"), line += *line == '\n')
		if (strncmp(line, property, strlen(property)) == 0)
			take_text(line + strlen(property), strcspn(line, "\n") - strlen(property), ret,
				  DEVICE_PATH_MAX);
}

bool particulars_is_nvme(const struct device_id *id)
{
	return id->class >> 8 == CLASS_NVME;
}

static void read_serial(int folder_fd, const char *controller, char ret[DEVICE_SERIAL_MAX])
{
	char path[64], text[128];
	size_t length;

	if ((size_t)snprintf(path, sizeof(path), "%s/serial", controller) >= sizeof(path) ||
	    read_file_at(folder_fd, path, text, sizeof(text)) < 0)
		return;
	length = strlen(text);
	while (length > 0 && text[length - 1] == ' ')
		length--;
	take_text(text, length, ret, DEVICE_SERIAL_MAX);
}

void particulars_read_nvme_serial(int device_fd, char ret[DEVICE_SERIAL_MAX])
{
	_cleanup_(cleanup_directory) DIR *folder = NULL;
	_cleanup_fd_ int fd = open_dir_at(device_fd, "nvme");
	const struct dirent *entry;

	ret[0] = '\0';
	if (fd < 0)
		return;
	folder = fdopendir(fd);
	if (!folder)
		return;
	TAKE_FD(fd);
	while (!ret[0] && (entry = readdir(folder)))
		if (entry->d_name[0] != '.')
			read_serial(dirfd(folder), entry->d_name, ret);
}
