//! Characters: which are invisible, which are digits or punctuation, and which look like another.

/// The ASCII character behind a Unicode tag.
pub(super) fn tag(c: char) -> Option<char> {
    let code = u32::from(c);
    (0xe0020..=0xe007e).contains(&code).then(|| char::from_u32(code - 0xe0000)).flatten()
}

/// Characters that show nothing: Unicode's default ignorables, as far as text has them.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(u32::from(c),
        0xad | 0x34f | 0x61c | 0x115f..=0x1160 | 0x17b4..=0x17b5 | 0x180b..=0x180f | 0x200b..=0x200f
        | 0x202a..=0x202e | 0x2060..=0x206f | 0x3164 | 0xe0000..=0xe007f | 0xfe00..=0xfe0f | 0xfeff | 0xffa0 | 0xe0100..=0xe01ef)
}

pub(crate) fn is_unsegmented(c: char) -> bool {
    matches!(u32::from(c), 0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7a3)
}

pub(super) fn punctuation(c: char) -> Option<char> {
    Some(match u32::from(c) {
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028..=0x2029 | 0x202f | 0x205f | 0x3000 => ' ',
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xfe58 | 0xfe63 | 0xff0d => '-',
        0x2018..=0x201b | 0x2032 | 0x2b9 | 0x2bc => '\'',
        0x201c..=0x201f | 0x2033 | 0xab | 0xbb => '"',
        0x2022 | 0xb7 | 0x2219 | 0x30fb => '*',
        0x2044 | 0x2215 => '/',
        0x2024 | 0x3002 | 0xff61 => '.',
        0x3001 => ',',
        _ => return None,
    })
}

/// The zeros of other scripts' decimal digits (Unicode's general category Nd); nine follow each.
const ZEROS: [u32; 21] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xe50, 0xed0, 0xf20,
    0x1040, 0x17e0, 0x1810, 0x19d0, 0xa620, 0xff10,
];

pub(super) fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    if code < ZEROS[0] {
        return None;
    }
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// Letters that look like a Latin one (Unicode TR 39, `confusables.txt`, the common part).
pub(super) fn look_alike(c: char) -> Option<char> {
    const LIKE: &str = "аaеeоoрpсcуyхxіiјjѕsһhԁdԛqԝwкkтtвbнhмmӏlАAВBЕEКKМMНHОOРPСCТTУYХXІIЅSЈJЗ3\
                        αaοoνvρpτtιiκkυuεeηnΑAΒBΕEΖZΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXıiɑaɡgօoսuոn";
    // Letters of other scripts than these look like none.
    if !matches!(u32::from(c), 0x131 | 0x250..=0x2af | 0x370..=0x58f) {
        return None;
    }
    let mut chars = LIKE.chars();
    while let (Some(like), Some(latin)) = (chars.next(), chars.next()) {
        if like == c {
            return Some(latin);
        }
    }
    None
}
