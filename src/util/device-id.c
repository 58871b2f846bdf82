/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/device-id.h"

#include <string.h>

bool device_address_is_valid(const char *address)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz:._-";
	size_t length = strnlen(address, DEVICE_ADDRESS_MAX);

	if (length == 0 || length == DEVICE_ADDRESS_MAX || address[0] == '.')
		return false;
	return strspn(address, allowed) == length;
}
