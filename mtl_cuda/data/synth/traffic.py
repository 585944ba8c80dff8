"""Who and what is on the street: vehicles, persons, riders, and the things at the kerb."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from mtl_cuda.data.synth import furniture, people, vehicles
from mtl_cuda.data.synth.geometry import Face
from mtl_cuda.data.synth.stage import Room, Stage

_TRIES = 4  # places tried for an object before it is left out


def populate(stage: Stage) -> None:
    """Fill the street, large things first."""
    for sign in (-1, 1):
        _line_kerb(stage, sign)
    for _ in range(stage.rng.poisson(stage.config.large_vehicles)):
        _drive(stage, large=True)
    for _ in range(stage.rng.poisson(stage.config.moving_cars)):
        _drive(stage, large=False)
    for sign in (-1, 1):
        _park(stage, sign)
    for _ in range(stage.rng.poisson(stage.config.riders)):
        _ride(stage)
    for _ in range(stage.rng.poisson(stage.config.parked_bikes)):
        _lean(stage)
    for _ in range(stage.rng.poisson(stage.config.clutter)):
        _leave_box(stage)
    for _ in range(stage.rng.poisson(stage.config.persons)):
        _walk(stage)


def _distance(stage: Stage, far: float) -> float:
    """A distance drawn so that objects of all sizes in the picture are met: even in its log."""
    near = stage.config.nearest + 0.5
    return near * math.exp(stage.rng.uniform(0, math.log(max(far, near + 1) / near)))


def _drive(stage: Stage, large: bool) -> None:
    """A vehicle in one of the lanes, or on the cross street."""
    rng, street = stage.rng, stage.street
    make = vehicles.large_vehicle if large else vehicles.car
    for _ in range(_TRIES):
        z = _distance(stage, street.end) + (6.0 if large else 2.0)
        lane = int(rng.integers(-street.lanes[0], street.lanes[1]))
        x = (lane + 0.5) * street.lane + rng.normal(0, 0.15)
        heading = math.pi if lane < 0 else 0.0
        if street.crossing and rng.random() < 0.25:
            middle, half = sum(street.crossing) / 2, (street.crossing[1] - street.crossing[0]) / 4
            towards = int(rng.choice([-1, 1]))
            x, z = rng.uniform(-12, 12), middle - towards * half
            heading = towards * math.pi / 2
        vehicle = make(rng, stage.density(z), stage.config.texture)
        # Nobody drives close behind: keep the view ahead.
        if _put_vehicle(stage, vehicle, x, z, heading + rng.normal(0, 0.03), 1.5):
            return


def _park(stage: Stage, sign: int) -> None:
    """Fill the parking places on one side, or put none where there are none."""
    rng, street = stage.rng, stage.street
    parking = street.side(sign).parking
    if not parking:
        return
    z = stage.config.nearest + rng.uniform(2, 6)
    while z < min(street.end, 70.0):
        if rng.random() < stage.config.parked and not street.near_crossing(z - 3, z + 3, 4.0):
            vehicle = vehicles.car(rng, stage.density(z), stage.config.texture)
            backwards = rng.random() < (0.85 if sign < 0 else 0.15)
            x = street.kerb(sign) - sign * (0.5 * vehicle.width + rng.uniform(0.1, 0.3))
            heading = (math.pi if backwards else 0.0) + rng.normal(0, 0.03)
            _put_vehicle(stage, vehicle, x, z, heading, 0.3)
        z += rng.uniform(5.4, 6.5)


def _put_vehicle(
    stage: Stage, vehicle: vehicles.Vehicle, x: float, z: float, heading: float, margin: float
) -> bool:
    room = Room(x, z, vehicle.width, vehicle.length, vehicle.height)
    across = abs(math.sin(heading)) > 0.5
    upright_room = Room(x, z, room.length, room.width, room.height) if across else room
    if not stage.is_free(upright_room, margin):
        return False
    stage.put([vehicle.faces], room, heading, things=True)
    return True


def _on_pavement(stage: Stage) -> tuple[float, float]:
    """A place on one of the pavements."""
    rng, street = stage.rng, stage.street
    sign = int(rng.choice([-1, 1]))
    x = street.kerb(sign) + sign * rng.uniform(0.4, street.side(sign).pavement)
    return x, max(_distance(stage, 0.8 * street.end), 1.3 * abs(x))


def _walk(stage: Stage) -> None:
    """A person, mostly on a pavement, sometimes on the road or at the pedestrian crossing."""
    rng, street = stage.rng, stage.street
    for _ in range(_TRIES):
        x, z = _on_pavement(stage)
        if rng.random() < 0.25:
            x = rng.uniform(street.kerb(-1), street.kerb(1))
            if street.crossing and street.zebra and rng.random() < 0.7:
                z = street.crossing[0] - rng.uniform(1.0, 3.6)
        if stage.is_free(Room(x, z, 0.6, 0.3, 1.7), 0.05):
            faces, height = people.person(rng, stage.density(z), stage.config.texture)
            room = Room(x, z, 0.5, 0.3, height)
            stage.put([faces], room, rng.uniform(-0.4, 0.4), things=True)
            return


def _ride(stage: Stage) -> None:
    """A bicycle or motorcycle with its rider near a kerb, sometimes going across."""
    rng, street = stage.rng, stage.street
    for _ in range(_TRIES):
        z, sign = _distance(stage, 60.0), int(rng.choice([-1, 1]))
        x = street.kerb(sign) - sign * (street.side(sign).parking + rng.uniform(0.5, 1.0))
        if stage.is_free(Room(x, z, 1.0, 1.8, 1.8)):
            lengthwise = rng.random() < 0.6
            vehicle, rider = people.two_wheeler(
                rng, stage.density(z), stage.config.texture, rng.random() < 0.3, True, lengthwise
            )
            heading = _two_wheeler_heading(stage, lengthwise)
            room = Room(x, z, 0.5 if lengthwise else 1.7, 0.3, 1.7)
            stage.put([vehicle, rider], room, heading, things=True)
            return


def _lean(stage: Stage) -> None:
    """A parked bicycle or motorcycle on a pavement."""
    rng = stage.rng
    for _ in range(_TRIES):
        x, z = _on_pavement(stage)
        if stage.is_free(Room(x, z, 1.8, 0.5, 1.1)):
            lengthwise = rng.random() < 0.25
            vehicle, _ = people.two_wheeler(
                rng, stage.density(z), stage.config.texture, rng.random() < 0.3, False, lengthwise
            )
            heading = _two_wheeler_heading(stage, lengthwise)
            room = Room(x, z, 0.5 if lengthwise else 1.7, 0.3, 1.0)
            stage.put([vehicle], room, heading, things=True)
            return


def _two_wheeler_heading(stage: Stage, lengthwise: bool) -> float:
    """How the flat figure is turned: towards the camera, or half aside and either way round."""
    if lengthwise:
        return float(stage.rng.uniform(-0.3, 0.3))
    return float(stage.rng.choice([0.0, math.pi]) + stage.rng.uniform(-0.6, 0.6))


def _leave_box(stage: Stage) -> None:
    rng = stage.rng
    x, z = _on_pavement(stage)
    if stage.is_free(Room(x, z, 1.0, 1.0, 1.2)):
        faces, width = furniture.bin_or_box(rng, stage.density(z))
        stage.put([faces], Room(x, z, width, width, 1.2), rng.uniform(-0.2, 0.2))


def _line_kerb(stage: Stage, sign: int) -> None:
    """Poles along a kerb: lamps at regular distances, signs, bollards, and a traffic light."""
    rng, street = stage.rng, stage.street
    x = street.kerb(sign) + sign * 0.45
    spacing = rng.uniform(14, 30)
    for z in np.arange(rng.uniform(6, 6 + spacing), street.end, spacing).tolist():
        _plant(stage, x, z, 7.0, lambda _: furniture.lamp(rng, -sign))
    for _ in range(rng.poisson(1.6)):
        z = max(_distance(stage, 0.7 * street.end), 1.4 * abs(x))
        _plant(stage, x, z, 2.5, lambda density: furniture.traffic_sign(rng, density))
    if rng.random() < 0.25:
        start = rng.uniform(8, 25)
        for z in np.arange(start, start + 12, 1.6).tolist():
            _plant(stage, x, z, 1.0, lambda _: furniture.bollard(rng))
    if street.crossing and (sign > 0 or rng.random() < 0.5):
        z = street.crossing[0] - rng.uniform(0.6, 1.0)
        _plant(stage, x, z, 3.0, lambda density: furniture.traffic_light(rng, density))


def _plant(
    stage: Stage, x: float, z: float, height: float, make: Callable[[float], list[Face]]
) -> None:
    """Set up what `make` builds for a texture density, if there is room for a pole."""
    if stage.is_free(Room(x, z, 0.4, 0.4, height)) and not stage.street.near_crossing(z, z, 0.5):
        faces = make(stage.density(z))
        stage.put([faces], Room(x, z, 0.15, 0.15, height), stage.rng.uniform(-0.2, 0.2))
