/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/digest.h"

#include <stdio.h>
#include <string.h>

void digest_begin(struct digest *digest)
{
	SHA256Init(&digest->context);
}

void digest_add(struct digest *digest, const void *data, size_t size)
{
	SHA256Update(&digest->context, data, size);
}

void digest_add_text(struct digest *digest, const char *text)
{
	digest_add(digest, text, strlen(text) + 1);
}

void digest_end(struct digest *digest, uint8_t ret[DIGEST_SIZE])
{
	SHA256Final(ret, &digest->context);
}

void digest_to_hex(const uint8_t value[DIGEST_SIZE], char ret[DIGEST_HEX_SIZE])
{
	for (int i = 0; i < DIGEST_SIZE; i++)
		snprintf(ret + 2 * i, 3, "%02x", value[i]);
}
