// SPDX-License-Identifier: GPL-2.0-or-later
//! A leak in Rust as it is shipped: optimised, generics, an inlined helper, and whatever the
//! compiler makes of frame pointers.  The test strips it, and gives it its debug file back.
//! It speaks as tests/workloads/chain.h says.

use std::io::{self, BufRead, Write};
use std::mem;

const SIZE: usize = 20010;
const COUNT: usize = 100;

mod shop {
    use super::*;

    pub trait Sold {
        const ROOM: usize;
    }

    pub struct Apple;

    impl Sold for Apple {
        const ROOM: usize = 10;
    }

    pub struct Basket<T> {
        items: Vec<T>,
    }

    impl<T: Sold> Basket<T> {
        #[inline(always)]
        fn reserve(count: usize) -> Vec<u8> {
            Vec::with_capacity(count * T::ROOM) /* LEAK */
        }

        #[inline(never)]
        pub fn fill(&self, count: usize) -> usize {
            let room = Self::reserve(count);
            let capacity = room.capacity();

            mem::forget(room);
            capacity + self.items.len()
        }
    }

    #[inline(never)]
    pub fn visit(count: usize) -> usize {
        let basket = Basket::<Apple> { items: Vec::new() };
        let filled = basket.fill(count);

        mem::size_of_val(&basket).min(1) + filled
    }
}

fn wait_for(lines: &mut dyn Iterator<Item = io::Result<String>>, word: &str) {
    for line in lines {
        if line.map_or(false, |line| line == word) {
            return;
        }
    }
    std::process::exit(0); // whoever drove us is gone
}

fn say(text: &str) {
    let mut out = io::stdout();

    if writeln!(out, "{}", text).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

fn main() {
    let stdin = io::stdin();
    let mut lines = stdin.lock().lines();
    let mut total = 0;

    say(&format!("ready {}", std::process::id()));
    wait_for(&mut lines, "go");
    for _ in 0..COUNT {
        total += shop::visit(SIZE / 10);
    }
    if total < SIZE * COUNT {
        std::process::exit(2);
    }
    say(&format!("{{\"truth\":{{\"leak\":{{\"size\":{},\"count\":{}}}}}}}", SIZE, COUNT));
    wait_for(&mut lines, "quit");
}
