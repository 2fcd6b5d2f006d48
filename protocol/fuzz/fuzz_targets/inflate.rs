//! One compressed message: the bound holds, and another reader of DEFLATE finds the same.
//!
//! The first two bytes of an input are the bound.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::deflate::{Deflater, InflateFault, Inflater};

/// More than any of the inputs makes, so that the bound is never the reason.
const AMPLE: usize = 1 << 22;

fuzz_target!(|input: &[u8]| {
    let Some((bound, compressed)) = input.split_first_chunk::<2>() else { return };
    let bytes_max = usize::from(u16::from_le_bytes(*bound));

    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    let bounded = inflater.inflate(compressed, bytes_max, &mut out);
    assert!(out.capacity() <= bytes_max);

    let mut all = Vec::new();
    let ample = inflater.inflate(compressed, AMPLE, &mut all);
    match bounded {
        Ok(()) => {
            assert_eq!(ample, Ok(()), "a used inflater is like a new one");
            assert_eq!(out, all);
        }
        Err(InflateFault::TooLarge) => assert!(ample.is_err() || all.len() > bytes_max),
        Err(InflateFault::Malformed) => assert_eq!(ample, Err(InflateFault::Malformed)),
    }
    if ample.is_ok() {
        check(compressed, &all);
    }
});

fn check(compressed: &[u8], inflated: &[u8]) {
    // libdeflate stops at the first block with BFINAL set, so it may see only the beginning.
    let completed = [compressed, &[0, 0, 0xff, 0xff, 3, 0]].concat();
    let mut out = vec![0; inflated.len()];
    let seen = libdeflater::Decompressor::new()
        .deflate_decompress(&completed, &mut out)
        .expect("what zlib reads, libdeflate reads");
    assert_eq!(out[..seen], inflated[..seen]);

    let mut again = Vec::new();
    let deflated = Deflater::new().deflate(inflated);
    assert_eq!(Inflater::new().inflate(&deflated, inflated.len(), &mut again), Ok(()));
    assert_eq!(again, inflated);
}
