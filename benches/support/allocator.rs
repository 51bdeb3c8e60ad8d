//! The allocator of the program, for the benches too: what they measure must be what runs.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
