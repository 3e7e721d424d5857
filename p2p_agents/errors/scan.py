"""What can go wrong with a picture of a code. Import them from errors.py."""

from __future__ import annotations

from p2p_agents import exits
from p2p_agents.errors.fault import LocalFault


class ScanUnavailable(LocalFault):
    """The libraries that read pictures are not installed here."""

    code = "scan_unavailable"
    hint = "run: pip install 'p2p-agents[scan]' (with pipx: pipx inject p2p-agents zxing-cpp pillow); or type the code"


class CameraUnavailable(LocalFault):
    """The library that reads cameras is not installed here."""

    code = "camera_unavailable"
    hint = "run: pip install 'p2p-agents[camera]'; or take a picture and use pair --image FILE"


class NoCamera(LocalFault):
    """No camera of this machine delivers a picture."""

    code = "no_camera"
    exit = exits.NOT_FOUND
    hint = "connect or free a camera; or take a picture elsewhere and use pair --image FILE"


class ImageUnreadable(LocalFault):
    """The file cannot be read."""

    code = "image_unreadable"
    exit = exits.USAGE
    hint = "check the path, and who may read it"


class NotAnImage(LocalFault):
    """The file is neither a PNG, JPEG, WebP, GIF or BMP picture nor text with a code drawn in it."""

    code = "not_an_image"
    exit = exits.USAGE
    hint = "save a photo or a screenshot of the code as PNG or JPEG"


class ImageTooLarge(LocalFault):
    """The picture is too large to read."""

    code = "image_too_large"
    exit = exits.REFUSED
    hint = "crop it to the code, or save it smaller"


class ImageBroken(LocalFault):
    """The picture is damaged or cut off."""

    code = "image_broken"
    hint = "copy or save it again"


class NoCodeFound(LocalFault):
    """No code was found in the picture."""

    code = "no_code_found"
    exit = exits.NOT_FOUND
    hint = (
        "take a sharp picture from straight ahead, with the code and its border filling half of it; or type the words"
    )


class ForeignCode(LocalFault):
    """The code in the picture is not a pairing code."""

    code = "foreign_code"
    exit = exits.REFUSED
    hint = "take a picture of what p2p-agents pair shows on the other side"


class SeveralCodes(LocalFault):
    """The picture holds several different pairing codes."""

    code = "several_codes"
    exit = exits.REFUSED
    hint = "crop the picture to the one you mean"
