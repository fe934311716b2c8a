// SPDX-License-Identifier: GPL-2.0-or-later
#include "judge.h"

#include <elfutils/libdwfl.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"

struct judge {
	Dwfl *dwfl;
	pid_t pid;
	int memory_fd;
	bool attached;
	const struct truth_stop *stop; /* in hand */
	uint64_t trampoline;
	struct judged_stack *stack;
};

static int no_debuginfo(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
			const char *file, const char *link, GElf_Word crc, char **found)
{
	return -1; /* .eh_frame is in the file itself */
}

static const Dwfl_Callbacks file_callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = no_debuginfo,
};

static bool read_memory(Dwfl *dwfl, Dwarf_Addr address, Dwarf_Word *word, void *argument)
{
	struct judge *judge = argument;
	const struct truth_stop *stop = judge->stop;

	if (pread(judge->memory_fd, word, sizeof(*word), (off_t)address) != sizeof(*word))
		return false;
	for (uint32_t i = 0; *word == judge->trampoline && i < stop->trap_count; i++) {
		if (stop->traps[i].slot == address) {
			*word = stop->traps[i].original;
			judge->stack->trapped = true;
		}
	}
	return true;
}

static pid_t next_thread(Dwfl *dwfl, void *argument, void **thread_argument)
{
	struct judge *judge = argument;

	if (*thread_argument)
		return 0;
	*thread_argument = judge;
	return (pid_t)judge->stop->tid;
}

static bool get_thread(Dwfl *dwfl, pid_t tid, void *argument, void **thread_argument)
{
	*thread_argument = argument;
	return true;
}

static bool set_registers(Dwfl_Thread *thread, void *argument)
{
	struct judge *judge = argument;
	Dwarf_Word registers[TRUTH_REGISTERS];

	for (int i = 0; i < TRUTH_REGISTERS; i++)
		registers[i] = judge->stop->registers[i];
	return dwfl_thread_state_registers(thread, 0, TRUTH_REGISTERS, registers);
}

static const Dwfl_Thread_Callbacks thread_callbacks = {
	.next_thread = next_thread,
	.get_thread = get_thread,
	.memory_read = read_memory,
	.set_initial_registers = set_registers,
};

int judge_new(struct judge **result, pid_t pid)
{
	struct judge *judge = calloc(1, sizeof(*judge));
	char path[64];
	int err;

	if (!judge)
		return -ENOMEM;
	judge->pid = pid;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	judge->memory_fd = open(path, O_RDONLY | O_CLOEXEC);
	err = judge->memory_fd < 0 ? -errno : 0;
	judge->dwfl = dwfl_begin(&file_callbacks);
	if (!err && !judge->dwfl)
		err = -ENOMEM;
	if (err) {
		judge_free(judge);
		return err;
	}
	*result = judge;
	return 0;
}

void judge_free(struct judge *judge)
{
	if (!judge)
		return;
	dwfl_end(judge->dwfl);
	lt_close_p(&judge->memory_fd);
	free(judge);
}

int judge_update(struct judge *judge)
{
	/* Modules that are reported again stay what they were. */
	dwfl_report_begin(judge->dwfl);
	if (dwfl_linux_proc_report(judge->dwfl, judge->pid) ||
	    dwfl_report_end(judge->dwfl, NULL, NULL))
		return -ESRCH;
	if (!judge->attached &&
	    !dwfl_attach_state(judge->dwfl, NULL, judge->pid, &thread_callbacks, judge))
		return -ENOEXEC;
	judge->attached = true;
	return 0;
}

static int take_frame(Dwfl_Frame *frame, void *argument)
{
	struct judge *judge = argument;
	struct judged_stack *stack = judge->stack;
	bool interrupted;
	Dwarf_Addr pc;

	if (!dwfl_frame_pc(frame, &pc, &interrupted) || stack->count == JUDGE_MAX_FRAMES)
		return DWARF_CB_ABORT;
	/* The first one is at a return address here, not interrupted just anywhere. */
	interrupted = interrupted && stack->count;
	stack->signal |= interrupted;
	stack->frames[stack->count++] = pc + (interrupted ? 1 : 0);
	return DWARF_CB_OK;
}

void judge_unwind(struct judge *judge, const struct truth_stop *stop, uint64_t trampoline,
		  struct judged_stack *stack)
{
	int status;

	stack->count = 0;
	stack->signal = stack->trapped = false;
	judge->stop = stop;
	judge->trampoline = trampoline;
	judge->stack = stack;
	status = dwfl_getthread_frames(judge->dwfl, (pid_t)stop->tid, take_frame, judge);
	stack->outermost = status == 0;
	stack->error = status ? dwfl_errmsg(-1) : NULL;
}
