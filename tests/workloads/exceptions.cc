// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Stacks that are hard to unwind, as an optimiser makes them (built with -O2 and without frame
 * pointers): exceptions through many frames, memory asked for while they fly, virtual calls,
 * std::function, callbacks out of C, frames of variable size, realigned frames, huge frames,
 * handlers of signals.
 *
 * Prints "ready PID", waits for the line "go" and works until the end of its input.
 */
#include <alloca.h>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#define OPAQUE __attribute__((noinline, noclone))

namespace
{

std::atomic<bool> over{ false };
constexpr unsigned THREADS = 2;
constexpr int DEEPEST = 20; // each level is up to three frames, and 127 is the limit

/* The compiler can neither drop the block nor turn a call before this into a jump. */
inline void keep(const void *pointer)
{
	__asm__ volatile("" : : "r"(pointer) : "memory");
}

OPAQUE void ask(std::size_t size)
{
	std::unique_ptr<char[]> block(new char[size]);

	keep(block.get());
}

/* Asks for memory in its destructor, that is, also while an exception passes. */
struct Careful {
	std::size_t size;

	explicit Careful(std::size_t bytes) : size(bytes)
	{
	}
	Careful(const Careful &) = delete;
	Careful &operator=(const Careful &) = delete;
	~Careful()
	{
		ask(size);
	}
};

/* A source of random decisions that asks for nothing. */
class Dice
{
      public:
	explicit Dice(unsigned seed) : state(seed * 2654435761u + 1)
	{
	}
	unsigned operator()(unsigned sides)
	{
		state = state * 6364136223846793005ull + 1442695040888963407ull;
		return static_cast<unsigned>(state >> 33) % sides;
	}

      private:
	unsigned long long state;
};

OPAQUE void step(Dice &dice, int depth);

struct Way {
	virtual ~Way() = default;
	virtual void go(Dice &dice, int depth) = 0;
};

struct Plain : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		Careful guard(24 + depth);

		step(dice, depth - 1);
		keep(&guard);
	}
};

/* alloca: the frame's address is known by RBP alone. */
struct Variable : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		char *buffer = static_cast<char *>(alloca(16 + dice(2000)));

		buffer[0] = static_cast<char>(depth);
		keep(buffer);
		step(dice, depth - 1);
		keep(buffer);
	}
};

struct Realigned : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		alignas(64) char buffer[128];

		std::memset(buffer, depth, sizeof(buffer));
		keep(buffer);
		step(dice, depth - 1);
		keep(buffer);
	}
};

/* Both at once: the frame's address is itself in memory. */
struct RealignedVariable : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		alignas(64) char buffer[128];
		char *more = static_cast<char *>(alloca(16 + dice(500)));

		std::memset(buffer, depth, sizeof(buffer));
		more[0] = 0;
		keep(buffer);
		keep(more);
		step(dice, depth - 1);
		keep(more);
	}
};

struct Huge : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		char buffer[40000];

		buffer[dice(sizeof(buffer))] = 1;
		keep(buffer);
		step(dice, depth - 1);
		keep(buffer);
	}
};

struct Function : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		std::string name(20 + dice(30), 'x');
		std::function<void(int)> call = [&dice, name](int left) {
			keep(name.data());
			step(dice, left);
			keep(name.data());
		};

		call(depth - 1);
		keep(&call);
	}
};

struct Catching : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		Careful guard(48);

		try {
			step(dice, depth - 1);
		} catch (const std::runtime_error &error) {
			ask(std::strlen(error.what()) + 1);
			if (dice(2))
				throw;
		}
	}
};

thread_local Dice *sort_dice;
thread_local int sort_depth;

extern "C" int compare_by_walking(const void *a, const void *b)
{
	if (sort_depth > 0) {
		int depth = sort_depth;

		sort_depth = 0; // not again from further down
		try {
			step(*sort_dice, depth);
		} catch (const std::exception &) {
			ask(64);
		}
	}
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

struct Sorting : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		int values[] = { 3, 1, 2 };

		sort_dice = &dice;
		sort_depth = depth - 1;
		std::qsort(values, 3, sizeof(*values), compare_by_walking);
		keep(values);
	}
};

thread_local Dice *signal_dice;
thread_local int signal_depth;

/* The thread raises it itself, at a place where asking for memory is allowed. */
void on_signal(int)
{
	int depth = signal_depth;

	try {
		step(*signal_dice, depth);
	} catch (const std::exception &) {
		ask(80);
	}
}

struct Signal : Way {
	OPAQUE void go(Dice &dice, int depth) override
	{
		/* No deeper than a few handlers on top of each other. */
		if (signal_dice) {
			step(dice, depth - 1);
		} else {
			signal_dice = &dice;
			signal_depth = depth - 1;
			pthread_kill(pthread_self(), SIGUSR1);
			signal_dice = nullptr;
		}
		keep(&dice);
	}
};

Way &way(unsigned number)
{
	static Plain plain;
	static Variable variable;
	static Realigned realigned;
	static RealignedVariable realigned_variable;
	static Huge huge;
	static Function function;
	static Catching catching;
	static Sorting sorting;
	static Signal signal;
	static Way *const ways[] = { &plain, &variable, &realigned, &realigned_variable,
				     &huge,  &function, &catching,  &sorting,
				     &signal };

	return *ways[number % (sizeof(ways) / sizeof(*ways))];
}

OPAQUE void step(Dice &dice, int depth)
{
	if (depth <= 0) {
		if (dice(3) == 0)
			throw std::runtime_error("the bottom was reached");
		ask(32 + dice(200));
		return;
	}
	way(dice(9)).go(dice, depth);
	keep(&dice);
}

OPAQUE void work(unsigned seed)
{
	Dice dice(seed);
	std::map<int, std::string> table;

	while (!over) {
		try {
			step(dice, 1 + static_cast<int>(dice(DEEPEST)));
		} catch (const std::exception &error) {
			table[static_cast<int>(dice(100))] = error.what();
		}
		usleep(20);
	}
}

} // namespace

int main()
{
	std::vector<std::thread> threads;
	std::string line;

	std::signal(SIGUSR1, on_signal);
	std::cout << "ready " << getpid() << std::endl;
	if (!std::getline(std::cin, line) || line != "go")
		return 1;
	for (unsigned i = 0; i < THREADS; i++)
		threads.emplace_back(work, i + 1);
	while (std::getline(std::cin, line) && line != "quit")
		;
	over = true;
	for (auto &thread : threads)
		thread.join();
	return 0;
}
