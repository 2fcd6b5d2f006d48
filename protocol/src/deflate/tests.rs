use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;

use super::*;

fn inflate(compressed: &[u8], bytes_max: usize) -> Result<Vec<u8>, InflateFault> {
    let mut out = b"left over from the last message".to_vec();
    Inflater::new().inflate(compressed, bytes_max, &mut out).map(|()| out)
}

/// What a browser makes of the parts: a sync flush after each, less the last four bytes.
fn deflate_as_browsers_do(parts: &[&[u8]], level: u32) -> Vec<u8> {
    let mut stream = Compress::new(Compression::new(level), false);
    let mut out = Vec::with_capacity(1 << 20);
    for part in parts {
        stream.compress_vec(part, &mut out, FlushCompress::Sync).unwrap();
    }
    assert!(out.ends_with(&[0, 0, 0xff, 0xff]));
    out.truncate(out.len() - 4);
    out
}

/// A batch as it goes out, compressible like a real one.
fn batch(events: usize) -> String {
    let event =
        |n: usize| format!(r#"{{"id":"{:022}","kind":"chat","ts":176000000{n:04}}}"#, n * 7919);
    let events: Vec<String> = (0..events).map(event).collect();
    format!(r#"{{"type":"batch","events":[{}]}}"#, events.join(","))
}

#[test]
fn the_examples_of_rfc_7692_inflate() {
    for (section, compressed) in [
        ("7.2.3.1", &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00][..]),
        ("7.2.3.3", &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        ("7.2.3.4", &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        (
            "7.2.3.5",
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ),
    ] {
        assert_eq!(inflate(compressed, 100).as_deref(), Ok(&b"Hello"[..]), "{section}");
    }
    assert_eq!(inflate(&[0x00], 100), Ok(vec![]), "the empty message of 7.2.3.6");
    assert_eq!(inflate(&[0x02, 0x00], 100), Ok(vec![]), "the empty message as zlib has it");
}

#[test]
fn our_own_messages_end_with_a_final_block_and_one_zero_byte() {
    let mut deflater = Deflater::new();
    for payload in [Vec::new(), batch(1).into_bytes(), batch(1000).into_bytes(), b"a".to_vec()] {
        let deflated = deflater.deflate(&payload);
        let (zero, blocks) = deflated.split_last().unwrap();
        assert_eq!(*zero, 0);
        let mut stream = Decompress::new(false);
        let mut out = vec![0; payload.len() + 1];
        let end = stream.decompress(blocks, &mut out, FlushDecompress::None).unwrap();
        assert_eq!(end, Status::StreamEnd);
        assert_eq!(stream.total_in(), blocks.len() as u64);
        assert_eq!(out[..stream.total_out() as usize], payload);
        assert_eq!(inflate(&deflated, payload.len()), Ok(payload));
    }
}

#[test]
fn batches_from_the_least_size_on_get_much_smaller() {
    let payload = batch(10);
    assert!(payload.len() >= DEFLATE_BYTES_MIN, "{}", payload.len());
    assert!(Deflater::new().deflate(payload.as_bytes()).len() * 3 < payload.len());
}

#[test]
fn messages_of_browsers_inflate_at_every_level_in_one_or_several_blocks() {
    let long = batch(200);
    for level in 0..=9 {
        for parts in [&[b"hi".as_slice()][..], &[b"a", b"", b"b"], &[long.as_bytes(), b"!"]] {
            let compressed = deflate_as_browsers_do(parts, level);
            assert_eq!(inflate(&compressed, 1 << 16), Ok(parts.concat()), "level {level}");
        }
    }
}

#[test]
fn blocks_after_a_final_one_are_read_too() {
    let mut several = Deflater::new().deflate(b"one ");
    several.pop();
    several.extend_from_slice(&Deflater::new().deflate(b"two "));
    several.pop();
    several.extend_from_slice(&deflate_as_browsers_do(&[b"three"], 6));
    assert_eq!(inflate(&several, 100).as_deref(), Ok(&b"one two three"[..]));
}

#[test]
fn a_final_block_without_the_zero_byte_is_accepted() {
    let mut compressed = Deflater::new().deflate(b"Hello");
    compressed.pop();
    assert_eq!(inflate(&compressed, 100).as_deref(), Ok(&b"Hello"[..]));
}

#[test]
fn a_message_cut_short_is_noticed() {
    for payload in [&b"Hello"[..], batch(20).as_bytes()] {
        let compressed = deflate_as_browsers_do(&[payload], 6);
        for length in 0..compressed.len() {
            let cut = inflate(&compressed[..length], 1 << 16);
            assert_eq!(cut, Err(InflateFault::Malformed), "{length} of {}", compressed.len());
        }
    }
}

#[test]
fn what_is_not_deflate_is_refused() {
    for garbage in [&b""[..], b"\xff", b"\x07", b"hello", &[0xaa; 50], b"\x00\x05\x00\xfa\xfeHello"]
    {
        assert_eq!(inflate(garbage, 1 << 16), Err(InflateFault::Malformed), "{garbage:?}");
    }
    // What was not removed from the end is not part of the message.
    let kept = [&deflate_as_browsers_do(&[b"hi"], 6)[..], &[0, 0, 0xff, 0xff]].concat();
    assert_eq!(inflate(&kept, 100), Err(InflateFault::Malformed));
}

#[test]
fn the_bound_is_exact_and_nothing_beyond_it_is_allocated() {
    let payload = batch(50).into_bytes();
    let compressed = deflate_as_browsers_do(&[&payload], 6);
    for bytes_max in [0, 1, 255, 256, 257, payload.len() - 1] {
        let mut out = Vec::new();
        let inflated = Inflater::new().inflate(&compressed, bytes_max, &mut out);
        assert_eq!(inflated, Err(InflateFault::TooLarge), "{bytes_max}");
        assert!(out.capacity() <= bytes_max, "{} for {bytes_max}", out.capacity());
    }
    for bytes_max in [payload.len(), payload.len() + 1] {
        let mut out = Vec::new();
        Inflater::new().inflate(&compressed, bytes_max, &mut out).unwrap();
        assert!(out.capacity() <= bytes_max, "{} for {bytes_max}", out.capacity());
        assert_eq!(out, payload);
    }
    assert_eq!(inflate(&[0], 0), Ok(vec![]), "nothing fits in no room");
}

#[test]
fn a_bomb_stops_at_the_bound() {
    let bomb = Deflater::new().deflate(&vec![0; 16 << 20]);
    assert!(bomb.len() < 64 << 10, "{} bytes make 16 MiB", bomb.len());
    let mut inflater = Inflater::new();
    let mut out = Vec::new();
    assert_eq!(inflater.inflate(&bomb, 16 << 10, &mut out), Err(InflateFault::TooLarge));
    assert!(out.capacity() <= 16 << 10, "{}", out.capacity());
    let after = inflater.inflate(&Deflater::new().deflate(b"still alive"), 16 << 10, &mut out);
    assert_eq!((after, out.as_slice()), (Ok(()), &b"still alive"[..]));
}

#[test]
fn a_bomb_of_many_empty_blocks_makes_nothing() {
    // 50,000 empty stored blocks, each of five bytes, all within one message.
    let blocks = [0, 0, 0, 0xff, 0xff].repeat(50_000);
    assert_eq!(inflate(&[&blocks[..], &[0]].concat(), 10), Ok(vec![]));
    let finals = [3, 0].repeat(50_000);
    assert_eq!(inflate(&finals, 10), Ok(vec![]));
}

proptest! {
    #[test]
    fn what_we_compress_inflates_to_the_same(
        payload in prop::collection::vec(prop_oneof![Just(b'a'), any::<u8>()], 0..5000)
    ) {
        let mut deflater = Deflater::new();
        prop_assert_eq!(inflate(&deflater.deflate(&payload), 5000), Ok(payload.clone()));
        let (one, two) = payload.split_at(payload.len() / 2);
        let browser = deflate_as_browsers_do(&[one, two], 6);
        prop_assert_eq!(inflate(&browser, payload.len()), Ok(payload));
    }

    #[test]
    fn garbage_never_panics_and_never_exceeds_the_bound(
        garbage in prop::collection::vec(any::<u8>(), 0..500), bytes_max in 0usize..2000
    ) {
        let mut out = Vec::new();
        let _ = Inflater::new().inflate(&garbage, bytes_max, &mut out);
        prop_assert!(out.capacity() <= bytes_max);
    }
}
