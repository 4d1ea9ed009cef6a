//! A text as a QR code (ISO/IEC 18004), in the plainest of image files: Tor Browser at its safest draws no SVG.

use qrcodegen::{QrCode, QrCodeEcc};

/// White modules around the code, as the standard asks for.
const MARGIN: i32 = 4;

/// Pixels of a module.
const SCALE: i32 = 4;

/// A black and white Windows bitmap; nothing if the text is too long (some 2 900 characters).
pub(super) fn bitmap(text: &str) -> Option<Vec<u8>> {
    let code = QrCode::encode_text(text, QrCodeEcc::Medium).ok()?;
    let side = (code.size() + 2 * MARGIN) * SCALE;
    let row = usize::try_from(side).ok()?.div_ceil(32) * 4;
    let pixels = row * usize::try_from(side).ok()?;
    let mut file = Vec::with_capacity(62 + pixels);
    let word = |file: &mut Vec<u8>, value: u32| file.extend_from_slice(&value.to_le_bytes());
    file.extend_from_slice(b"BM");
    for value in [u32::try_from(62 + pixels).ok()?, 0, 62, 40] {
        word(&mut file, value);
    }
    let extent = u32::try_from(side).ok()?;
    // One plane of one bit; no compression; the two colours follow.
    for value in
        [extent, extent, 0x0001_0001, 0, u32::try_from(pixels).ok()?, 2_835, 2_835, 2, 2, 0, 0x00ff_ffff]
    {
        word(&mut file, value);
    }
    for y in (0..side).rev() {
        let mut line = vec![0; row];
        for x in 0..side {
            let light = !code.get_module(x / SCALE - MARGIN, y / SCALE - MARGIN);
            let place = usize::try_from(x).ok()?;
            if light && let Some(byte) = line.get_mut(place / 8) {
                *byte |= 0x80 >> (place % 8);
            }
        }
        file.extend_from_slice(&line);
    }
    Some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bitmap_has_the_size_it_says_and_three_finder_corners() {
        let file = bitmap("http://example.onion/private/token").unwrap();
        assert_eq!(&file[..2], b"BM");
        let number = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap()) as usize;
        assert_eq!(number(2), file.len());
        let (side, row) = (number(18), number(18).div_ceil(32) * 4);
        let dark = |x: usize, y: usize| file[62 + (side - 1 - y) * row + x / 8] & (0x80 >> (x % 8)) == 0;
        let (near, far) = (4 * 4 + 1, side - 4 * 4 - 2);
        assert!(dark(near, near) && dark(far, near) && dark(near, far));
        assert!(!dark(1, 1) && !dark(side - 2, side - 2));
        assert_eq!(bitmap(&"x".repeat(5_000)), None);
    }
}
