use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Archive {
    Archive::read(text.as_bytes()).unwrap()
}

fn texts(archive: &Archive) -> Vec<&str> {
    archive.danmaku.iter().map(|danmaku| danmaku.text.as_str()).collect()
}

fn not_played(archive: &Archive) -> Vec<(NotPlayed, u64)> {
    archive.tally.not_played.iter().map(|(reason, count)| (*reason, *count)).collect()
}

#[test]
fn danmaku_are_sorted_by_time_and_stay_in_order_within_it() {
    let archive = read(
        "\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?><i><chatid>1</chatid>\
         <d p='2,1,25,0,0,0,a,1'>c</d><d p='1.5,1,25,0,0,0,a,1'>a</d>\n\
         <d p='1.5,1,25,0,0,0,a,1'>b</d></i>",
    );
    assert_eq!(texts(&archive), ["a", "b", "c"]);
    assert_eq!(archive.tally.elements, 3);
    assert_eq!(archive.tally.by_mode, BTreeMap::from([(1, 3)]));
    assert_eq!(not_played(&archive), []);
    assert_eq!(archive.tally.other_tags, BTreeMap::new());
}

#[test]
fn entities_character_references_and_cdata_are_text() {
    let archive = read(
        "<d p='0,1,25,0,0,0,a,1'>&lt;3 &amp; &#x1F389;&#33;<![CDATA[<b>&amp;</b>]]></d>\
         <d p='1,1,25,0,0,0,a,1'>AT&T; R&D & &nbsp; &#0; fish &</d>",
    );
    assert_eq!(texts(&archive), ["<3 & 🎉!<b>&amp;</b>", "AT&T; R&D & &nbsp; &#0; fish &"]);
}

#[test]
fn every_danmaku_is_played_or_counted_by_reason() {
    let archive = read(
        "<i><d p='0,7,25,0,0,0,a,1'>[\"0\"]</d><d p='0,8,25,0,0,0,a,1'>x</d>\
         <d p='0,1,25,0,0,0,a'>x</d><d>x</d><d p='0,1,25,0,0,0,a,1'/>\
         <d p='0,1,25,0,0,0,a,1'>&#8;</d><gift ts='1'/><gift ts='2'/><sc>hi</sc>\
         <d p='0,5,25,0,0,0,a,1'>top</d></i>",
    );
    assert_eq!(texts(&archive), ["top"]);
    assert_eq!(
        not_played(&archive),
        [
            (NotPlayed::Malformed, 2),
            (NotPlayed::Mode(7), 1),
            (NotPlayed::Mode(8), 1),
            (NotPlayed::Empty, 2),
        ]
    );
    assert_eq!(archive.tally.elements, 7);
    assert_eq!(archive.tally.by_mode, BTreeMap::from([(1, 2), (5, 1), (7, 1), (8, 1)]));
    assert_eq!(archive.tally.other_tags, BTreeMap::from([("gift".into(), 2), ("sc".into(), 1)]));
}

#[test]
fn broken_places_are_skipped_and_the_rest_is_read() {
    let archive = read(
        "<i><d p='0,1,25,0,0,0,a,1'>a</x></d></nobody><!oops>\u{1}\
         <d p='1,1,25,0,0,0,a,1'>never closed<d p='2,1,25,0,0,0,a,1'>b\u{8}</d><d p=",
    );
    assert_eq!(texts(&archive), ["a", "b"]);
    assert_eq!(not_played(&archive), [(NotPlayed::Malformed, 1)]);
    assert_eq!(archive.tally.broken_markup, 2);
    assert_eq!(archive.tally.mended_characters, 2);
}

#[test]
fn the_window_begins_with_from_and_ends_before_to() {
    let mut archive = read(
        "<d p='1,1,25,0,0,0,a,1'>a</d><d p='2,1,25,0,0,0,a,1'>b</d>\
         <d p='3,1,25,0,0,0,a,1'>c</d>",
    );
    archive.keep_window(Duration::from_secs(2), Some(Duration::from_secs(3)));
    assert_eq!(texts(&archive), ["b"]);
    assert_eq!(not_played(&archive), [(NotPlayed::OutsideWindow, 2)]);
}

#[test]
fn an_unreadable_source_is_an_error() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::PermissionDenied.into())
        }
    }
    let error = Archive::read(Broken).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

fn is_accounted_for(archive: &Archive) -> bool {
    let not_played: u64 = archive.tally.not_played.values().sum();
    archive.tally.elements == archive.danmaku.len() as u64 + not_played
}

/// Pieces that an archive is made of, and pieces that break it.
const PIECES: [&str; 24] = [
    "<i>",
    "</i>",
    "<d p='1,1,25,0,0,0,a,1'>",
    "<d p=\"2,7,25,0,0,0,a,1,3\">",
    "<d p=''>",
    "<d>",
    "</d>",
    "<d/>",
    "text",
    "前方",
    "&amp;",
    "&#x41;",
    "&#xffffffff;",
    "&",
    ";",
    "<",
    ">",
    "'",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?",
    "<!DOCTYPE",
];

proptest! {
    #[test]
    fn any_bytes_are_read_and_accounted_for(bytes: Vec<u8>) {
        prop_assert!(is_accounted_for(&Archive::read(&bytes[..]).unwrap()));
    }

    #[test]
    fn any_pieces_are_read_and_accounted_for(
        pieces in prop::collection::vec(prop::sample::select(&PIECES[..]), 0..60)
    ) {
        prop_assert!(is_accounted_for(&read(&pieces.concat())));
    }

    #[test]
    fn any_text_survives_escaping(text in "\\PC{1,50}") {
        let escaped = quick_xml::escape::escape(text.as_str());
        let archive = read(&format!("<i><d p='0,1,25,0,0,0,a,1'>{escaped}</d></i>"));
        let visible: String =
            text.chars().filter(|c| !protocol::ids::is_invisible(*c)).collect();
        let visible = visible.trim();
        if visible.is_empty() {
            prop_assert_eq!(not_played(&archive), [(NotPlayed::Empty, 1)]);
        } else {
            prop_assert_eq!(texts(&archive), [visible]);
        }
    }
}

#[test]
fn the_sample_shows_every_reason() {
    let sample = include_bytes!("../../samples/sample.xml");
    let archive = Archive::read(&sample[..]).unwrap();
    assert_eq!((archive.tally.elements, archive.danmaku.len()), (60, 50));
    assert_eq!(
        not_played(&archive),
        [
            (NotPlayed::Malformed, 3),
            (NotPlayed::Mode(7), 2),
            (NotPlayed::Mode(8), 1),
            (NotPlayed::Mode(9), 1),
            (NotPlayed::Empty, 2),
            (NotPlayed::TooLong, 1),
        ]
    );
    assert_eq!(archive.tally.other_tags, BTreeMap::from([("gift".into(), 1)]));
    let texts = texts(&archive);
    for text in ["1 < 2 < 3 cats", "<b>not bold</b> & not &amp;escaped", "🐱 & 🎵"] {
        assert!(texts.contains(&text), "{text}");
    }
}
