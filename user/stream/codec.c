// SPDX-License-Identifier: GPL-2.0-or-later
#include "stream/codec.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/hash.h"
#include "base/kind.h"
#include "stream/decode.h"
#include "stream/payload.h"

/* One multiplication per word, as zlib's crc32 would cost more than the rest of the encoding. */
uint32_t lt_codec_check(uint64_t seed, const uint8_t *bytes, size_t size)
{
	uint64_t hash = seed ^ LT_FNV_SEED, word;

	while (size) {
		size_t part = size < sizeof(word) ? size : sizeof(word);

		if (part == sizeof(word)) {
			memcpy(&word, bytes, sizeof(word));
		} else {
			word = 0;
			memcpy(&word, bytes, part);
		}
		hash = (hash ^ le64toh(word)) * 0xff51afd7ed558ccdULL; /* as in lt_mix64 */
		hash ^= hash >> 32;
		bytes += part;
		size -= part;
	}
	return (uint32_t)hash; /* its upper half is already folded in */
}

/* Offsets of the length and check fields; all that follows the check field is covered by it. */
#define RECORD_CHECK   4
#define RECORD_COVERED 8
#define FILE_VERSION   8
#define FILE_LENGTH    12
#define FILE_CHECK     16
#define FILE_COVERED   20

static uint32_t get_u32(const uint8_t *bytes)
{
	uint32_t raw;

	memcpy(&raw, bytes, sizeof(raw));
	return le32toh(raw);
}

static void put_u32(uint8_t *bytes, uint32_t value)
{
	value = htole32(value);
	memcpy(bytes, &value, sizeof(value));
}

uint32_t lt_codec_length(const uint8_t header[LT_RECORD_HEADER])
{
	return get_u32(header);
}

uint32_t lt_codec_file_length(const uint8_t header[LT_RECORD_FILE_HEADER])
{
	return get_u32(header + FILE_LENGTH);
}

static uint32_t check_of(const uint8_t *data, size_t size)
{
	return lt_codec_check(get_u32(data), data + RECORD_COVERED, size - RECORD_COVERED);
}

static uint32_t check_of_file(const uint8_t *data, size_t size)
{
	return lt_codec_check((uint64_t)get_u32(data + FILE_VERSION) << 32 |
				      lt_codec_file_length(data),
			      data + FILE_COVERED, size - FILE_COVERED);
}

void lt_codec_seal(uint8_t *data, size_t size)
{
	put_u32(data, (uint32_t)(size - LT_RECORD_HEADER));
	put_u32(data + RECORD_CHECK, check_of(data, size));
}

void lt_codec_seal_file(uint8_t *data, size_t size)
{
	put_u32(data + FILE_LENGTH, (uint32_t)(size - LT_RECORD_FILE_HEADER));
	put_u32(data + FILE_CHECK, check_of_file(data, size));
}

/* The fields between a record's check and its payload. */
static void code_header(struct codec *codec, struct lt_event *event, uint16_t *type)
{
	code_u16(codec, type);
	code_u8(codec, &event->kind);
	code_u8(codec, &event->flags);
	code_u32(codec, &event->tgid);
	code_u64(codec, &event->time_ns);
}

int lt_codec_encode(uint8_t *to, size_t room, const struct lt_event *event)
{
	const struct lt_payload *payload = lt_payload_of(event->type);
	struct codec codec = { .at = to + RECORD_COVERED, .end = to + room };
	struct lt_event copy = *event; /* code_*() want what they could write to */
	uint16_t type = event->type;

	if (!payload || (event->flags & ~payload->flags) ||
	    (payload->has_kind ? !lt_decode_kind_known(event->kind) : event->kind != LT_KIND_NONE))
		return -EINVAL;
	if (room < LT_RECORD_HEADER)
		return -EMSGSIZE;
	code_header(&codec, &copy, &type);
	payload->code(&codec, &copy);
	if (codec.error)
		return codec.full ? -EMSGSIZE : -EINVAL;
	lt_codec_seal(to, (size_t)(codec.at - to));
	return (int)(codec.at - to);
}

int lt_codec_decode(uint8_t *data, size_t size, const struct lt_codec_file *file,
		    struct lt_codec_scratch *scratch, struct lt_event *event, const char **why)
{
	struct codec codec = {
		.at = data + RECORD_COVERED, .end = data + size, .scratch = scratch, .file = file
	};
	const struct lt_payload *payload;
	uint16_t type = 0;

	*why = "its bytes do not match its check value";
	if (size < LT_RECORD_HEADER || get_u32(data + RECORD_CHECK) != check_of(data, size))
		return -EBADMSG;
	memset(event, 0, sizeof(*event));
	code_header(&codec, event, &type);
	payload = lt_payload_of(type);
	*why = "its type is unknown";
	if (!payload)
		return file->newer ? 1 : -EBADMSG;
	*why = "its kind is not one that the file names";
	if (payload->has_kind ? !file->kind_listed[event->kind] : event->kind != LT_KIND_NONE)
		return -EBADMSG;
	*why = "it has unknown flags";
	if ((event->flags & ~payload->flags) && !file->newer)
		return -EBADMSG;
	event->type = (uint8_t)type;
	event->kind = file->kind[event->kind];
	event->flags &= payload->flags;
	payload->code(&codec, event);
	check(&codec, codec.at == codec.end || file->newer, "it is longer than its type");
	*why = codec.error;
	if (codec.error)
		return -EBADMSG;
	return codec.unknown || (payload->has_kind && event->kind == LT_KIND_NONE);
}

static const char *const counter_names[LT_COUNTER_COUNT] = {
#define LT_COUNTER(symbol, name, class, help) name,
#include "leaktrace/counters.def"
#undef LT_COUNTER
};

static void code_kinds(struct codec *codec, struct lt_codec_file *file)
{
	uint16_t count = LT_KINDS;

	code_u16(codec, &count);
	for (uint16_t i = 0; i < count && !codec->error; i++) {
		struct lt_kind_info kind = { 0 };

		if (!reading(codec))
			kind = lt_kind_infos[i];
		code_u8(codec, &kind.value);
		code_string(codec, &kind.name);
		code_string(codec, &kind.unit);
		if (!reading(codec) || codec->error)
			continue;
		if (!check(codec, kind.value && !file->kind_listed[kind.value],
			   "two kinds share a value"))
			return;
		file->kind_listed[kind.value] = true;
		for (size_t own = 0; own < LT_KINDS; own++)
			if (!strcmp(lt_kind_infos[own].name, kind.name))
				file->kind[kind.value] = lt_kind_infos[own].value;
	}
}

static void code_counter_names(struct codec *codec, struct lt_codec_file *file)
{
	uint16_t count = LT_COUNTER_COUNT;

	code_u16(codec, &count);
	if (!check(codec, count <= LT_RECORD_MAX_COUNTERS, "it names too many counters"))
		return;
	for (uint16_t i = 0; i < count && !codec->error; i++) {
		const char *name = reading(codec) ? NULL : counter_names[i];

		code_string(codec, &name);
		if (!reading(codec) || codec->error)
			continue;
		file->counter[i] = LT_COUNTER_COUNT;
		for (int own = 0; own < LT_COUNTER_COUNT; own++)
			if (!strcmp(counter_names[own], name))
				file->counter[i] = (uint16_t)own;
	}
	if (reading(codec))
		file->counter_count = count;
}

int lt_codec_encode_file(uint8_t *to, size_t room)
{
	struct codec codec = { .at = to, .end = to + room };
	const uint8_t *magic = (const uint8_t *)LT_RECORD_MAGIC;
	uint16_t major = LT_RECORD_MAJOR, minor = LT_RECORD_MINOR;
	uint32_t zero = 0;

	code_bytes(&codec, &magic, sizeof(LT_RECORD_MAGIC));
	code_u16(&codec, &major);
	code_u16(&codec, &minor);
	for (int i = 0; i < 3; i++) /* length and check: filled in below; reserved */
		code_u32(&codec, &zero);
	code_kinds(&codec, NULL);
	code_counter_names(&codec, NULL);
	if (codec.error)
		return -EMSGSIZE;
	lt_codec_seal_file(to, (size_t)(codec.at - to));
	return (int)(codec.at - to);
}

int lt_codec_check_file(const uint8_t header[LT_RECORD_FILE_HEADER], const char **why)
{
	uint32_t version = get_u32(header + FILE_VERSION);

	*why = "not a recording of leaktrace";
	if (memcmp(header, LT_RECORD_MAGIC, sizeof(LT_RECORD_MAGIC)))
		return -EBADMSG;
	*why = "written in a format that this leaktrace does not know; use the one that wrote it";
	if ((version & UINT16_MAX) != LT_RECORD_MAJOR)
		return -EPROTONOSUPPORT;
	*why = "its header is damaged";
	if (lt_codec_file_length(header) > LT_RECORD_MAX_BODY || get_u32(header + FILE_COVERED))
		return -EBADMSG;
	*why = NULL;
	return 0;
}

int lt_codec_decode_file(uint8_t *data, size_t size, struct lt_codec_file *file, const char **why)
{
	/* No array is read here: any scratch will do to say "reading". */
	struct lt_codec_scratch scratch;
	struct codec codec = { .at = data + LT_RECORD_FILE_HEADER,
			       .end = data + size,
			       .scratch = &scratch };

	*why = "its header is damaged: the bytes do not match their check value";
	if (get_u32(data + FILE_CHECK) != check_of_file(data, size))
		return -EBADMSG;
	memset(file, 0, sizeof(*file));
	file->newer = get_u32(data + FILE_VERSION) >> 16 > LT_RECORD_MINOR;
	code_kinds(&codec, file);
	code_counter_names(&codec, file);
	check(&codec, codec.at == codec.end || file->newer, "its header is longer than its names");
	*why = codec.error;
	return codec.error ? -EBADMSG : 0;
}
