/* SPDX-License-Identifier: GPL-2.0-or-later */
/* SHA-256 by libmd, with the two forms that we show: 32 bytes and 64 hexadecimal digits. */
#ifndef IOMMUD_UTIL_DIGEST_H
#define IOMMUD_UTIL_DIGEST_H

#include <sha2.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE 32
#define DIGEST_HEX_SIZE 65

struct digest {
	SHA2_CTX context;
};

void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, const void *data, size_t size);

/* Adds the text and its terminating NUL, so that "ab","c" and "a","bc" differ. */
void digest_add_text(struct digest *digest, const char *text);

void digest_end(struct digest *digest, uint8_t ret[DIGEST_SIZE]);
void digest_to_hex(const uint8_t value[DIGEST_SIZE], char ret[DIGEST_HEX_SIZE]);

#endif
