// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A leak in C++ as it is shipped: optimised, templates, an inlined helper, no frame pointers.  The
 * test strips it, and gives it its debug file back.
 */
#include "chain.h"

#include <string>
#include <vector>

namespace shop
{

struct Apple {
	char room[10];
};

template <typename T> class Basket
{
      public:
	__attribute__((always_inline)) inline T *add(std::size_t count)
	{
		return new T[count]; /* LEAK */
	}
};

template <typename T> SITE void fill(Basket<T> &basket, std::size_t count)
{
	T *items = basket.add(count);

	KEEP(items);
}

class Customer
{
      public:
	virtual ~Customer() = default;
	SITE virtual void visit(const std::string &name, std::vector<int> &)
	{
		Basket<Apple> basket;

		fill(basket, name.size());
		CHAIN_LINK();
	}
};

} // namespace shop

int main()
{
	static const char *const names[] = { "leak" };
	const unsigned long counts[] = { 100 };
	const std::string name(CHAIN_SIZE(0) / sizeof(shop::Apple), 'x');
	std::vector<int> list;
	shop::Customer customer;

	ready_and_go();
	for (unsigned long i = 0; i < counts[0]; i++)
		customer.visit(name, list);
	chain_print(names, counts, 1);
	wait_for("quit");
}
