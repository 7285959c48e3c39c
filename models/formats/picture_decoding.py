"""JPEG and PNG inside a SavedModel, decoded as `data.images.decode` reads them: upright and opaque.

TensorFlow's decoders know neither Exif nor what lies under transparency; both are done here in its own operations.
"""

from convmedia.data.images.decoding import WHITE_DRAWING_LUMA
from convmedia.data.transforms.colour import LUMA

FORMAT_REFUSED = "serve_bytes takes JPEG and PNG"
DEPTH_REFUSED = "serve_bytes takes PNG of 8 bits a channel"

_PNG = b"\x89PNG\r\n\x1a\n"
_TAG, _SHORT = 0x0112, 3  # Exif 2.3: Orientation and its type


def decoded_picture(content):
    """Bytes of a JPEG or PNG of 8 bits to float32 (height, width, 3), 0..255.

    Exif orientation is applied, of a JPEG's APP1 and a PNG's eXIf. Transparent pictures are composited over white; over
    black where what is visible is nearly white itself.

    Raises:
        InvalidArgumentError: another format, more than 8 bits a channel, a damaged file.
    """
    import tensorflow as tf

    is_jpeg = tf.io.is_jpeg(content)
    is_png = tf.equal(_within(content, 0, 8), _PNG)
    depth = _numbers(content, 24, 1)  # of IHDR, behind signature, length, name, width and height
    known = tf.debugging.Assert(tf.logical_or(is_jpeg, is_png), [FORMAT_REFUSED])
    shallow = tf.debugging.Assert(tf.logical_or(is_jpeg, depth <= 8), [DEPTH_REFUSED])
    with tf.control_dependencies([known, shallow]):
        content = tf.identity(content)

    def jpeg():
        return tf.cast(tf.io.decode_jpeg(content, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)

    def png():
        return _opaque(tf.io.decode_png(content, channels=4))

    picture = tf.cond(is_jpeg, jpeg, png)
    return upright(picture, orientation(content, is_jpeg))


def _opaque(pixels):
    """uint8 (height, width, 4) laid over white or black: float32 (height, width, 3) of whole numbers."""
    import tensorflow as tf

    colour, alpha = tf.cast(pixels[..., :3], tf.float32), tf.cast(pixels[..., 3], tf.float32)
    luma = tf.tensordot(colour, tf.constant(LUMA, tf.float32), 1)
    light = tf.reduce_sum(tf.cast(luma * alpha, tf.float64))
    visible = tf.reduce_sum(tf.cast(alpha, tf.float64))
    ground = tf.where(light > WHITE_DRAWING_LUMA * visible, 0.0, 255.0)
    opacity = alpha[..., tf.newaxis] / 255.0
    return tf.round(colour * opacity + ground * (1.0 - opacity))


def upright(pixels, turn):
    """Undo an Exif orientation of (height, width, channels), as `data.images.upright`."""
    import tensorflow as tf

    def one_of(*turns):
        return tf.reduce_any(tf.equal(turn, turns))

    pixels = tf.cond(turn >= 5, lambda: tf.transpose(pixels, [1, 0, 2]), lambda: pixels)
    pixels = tf.cond(one_of(3, 4, 7, 8), lambda: tf.reverse(pixels, [0]), lambda: pixels)
    return tf.cond(one_of(2, 3, 6, 7), lambda: tf.reverse(pixels, [1]), lambda: pixels)


def orientation(content, is_jpeg):
    """The Exif orientation of a JPEG or PNG, int32, 1..8; 1 where there is none, or what cannot be understood."""
    import tensorflow as tf

    exif = tf.cond(is_jpeg, lambda: _exif_of_jpeg(content), lambda: _exif_of_png(content))
    little = tf.equal(_within(exif, 0, 2), b"II")
    first = _numbers(exif, 4, 4, little)
    count = _numbers(exif, first, 2, little)

    def entry(place):
        return first + 2 + 12 * place

    def other(place, found):
        return tf.logical_and(place < count, tf.equal(found, 0))

    def look(place, found):
        is_tag = tf.equal(_numbers(exif, entry(place), 2, little), _TAG)
        short = tf.equal(_numbers(exif, entry(place) + 2, 2, little), _SHORT)
        value = _numbers(exif, entry(place) + 8, 2, little)
        return place + 1, tf.where(tf.logical_and(is_tag, short), value, found)

    _, found = tf.while_loop(other, look, (0, 0), maximum_iterations=1000)
    valid = tf.logical_and(found >= 2, found <= 8)
    return tf.where(valid, found, 1)


def _exif_of_jpeg(content):
    """The Exif block of a JPEG (ISO 10918-1, B.1.1), from its byte order on; empty where there is none."""
    import tensorflow as tf

    def goes_on(at, exif):
        marker, end = _numbers(content, at, 2), tf.strings.length(content)
        is_segment = tf.logical_and(marker >= 0xFF01, tf.not_equal(marker, 0xFFDA))
        return tf.logical_and(tf.logical_and(is_segment, at < end), tf.equal(tf.strings.length(exif), 0))

    def step(at, exif):
        filled = tf.equal(_numbers(content, at + 1, 1), 0xFF)  # a marker may be preceded by any number of these
        size = tf.maximum(_numbers(content, at + 2, 2), 2)
        is_exif = tf.logical_and(
            tf.equal(_numbers(content, at + 1, 1), 0xE1), tf.equal(_within(content, at + 4, 6), b"Exif\0\0")
        )
        found = tf.cond(is_exif, lambda: _within(content, at + 10, size - 8), lambda: exif)
        return at + tf.where(filled, 1, 2 + size), found

    return tf.while_loop(goes_on, step, (2, tf.constant(b"")))[1]


def _exif_of_png(content):
    """The eXIf chunk of a PNG; empty where there is none."""
    import tensorflow as tf

    def goes_on(at, exif):
        inside = at < tf.strings.length(content) - 8
        return tf.logical_and(inside, tf.equal(tf.strings.length(exif), 0))

    def step(at, exif):
        size = tf.maximum(_numbers(content, at, 4), 0)
        is_exif = tf.equal(_within(content, at + 4, 4), b"eXIf")
        found = tf.cond(is_exif, lambda: _within(content, at + 8, size), lambda: exif)
        left = tf.strings.length(content) - at  # a size that is damaged must not wrap around
        return at + tf.minimum(size, left) + 12, found

    return tf.while_loop(goes_on, step, (8, tf.constant(b"")))[1]


def _within(content, at, size):
    """Bytes of a string from a place on; what lies outside of it is left out."""
    import tensorflow as tf

    length = tf.strings.length(content)
    start = tf.clip_by_value(at, 0, length)
    return tf.strings.substr(content, start, tf.clip_by_value(size, 0, length - start))


def _numbers(content, at, size, little=False):
    """An unsigned number of 1, 2 or 4 bytes as int32, the greatest one where it is more; 0 outside of the string."""
    import tensorflow as tf

    part = _within(content, at, size)
    complete = tf.equal(tf.strings.length(part), size)
    padded = tf.where(complete, part, b"\0" * size)
    values = tf.cast(tf.reshape(tf.io.decode_raw(padded, tf.uint8), [size]), tf.int64)
    values = tf.where(little, values, values[::-1])
    total = tf.reduce_sum(values * [256**place for place in range(size)])
    return tf.cast(tf.minimum(total, 2**31 - 1), tf.int32)
