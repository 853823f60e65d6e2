"""What phones call a quantity, and which metric and units it is.

Sources: developer.apple.com/documentation/healthkit (APPLE),
github.com/the-momentum/open-wearables (ANDROID: the same SDK on Samsung and Health
Connect phones), github.com/HealthyApps/health-auto-export-server (EXPORT). The value
tables of workouts are in `workouts.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from biometrics.catalogue import Metric
from biometrics.vendors.healthkit import units
from biometrics.vendors.healthkit.units import Dimension


class Quantity(NamedTuple):
    """What a sample measures and in which units it may come.

    `context` keeps apart what shares a metric, such as distance on foot and by bicycle.
    """

    metric: Metric
    dimension: Dimension
    context: str | None = None


# Apple's identifiers without HKQuantityTypeIdentifier. Its classic HRV is SDNN; RMSSD
# came with iOS 27. The two are never mixed.
APPLE: dict[str, Quantity] = {
    "HeartRate": Quantity(Metric.HEART_RATE, units.RATE),
    "RestingHeartRate": Quantity(Metric.RESTING_HEART_RATE, units.RATE),
    "WalkingHeartRateAverage": Quantity(Metric.WALKING_HEART_RATE, units.RATE),
    "HeartRateRecoveryOneMinute": Quantity(Metric.HEART_RATE_RECOVERY, units.RATE),
    "HeartRateVariabilitySDNN": Quantity(Metric.HRV_SDNN, units.MILLISECONDS),
    "HeartRateVariabilityRMSSD": Quantity(Metric.HRV_RMSSD, units.MILLISECONDS),
    "RespiratoryRate": Quantity(Metric.RESPIRATORY_RATE, units.RATE),
    "OxygenSaturation": Quantity(Metric.OXYGEN_SATURATION, units.PERCENT),
    "BloodPressureSystolic": Quantity(Metric.BLOOD_PRESSURE_SYSTOLIC, units.PRESSURE),
    "BloodPressureDiastolic": Quantity(Metric.BLOOD_PRESSURE_DIASTOLIC, units.PRESSURE),
    "BloodGlucose": Quantity(Metric.BLOOD_GLUCOSE, units.GLUCOSE),
    "VO2Max": Quantity(Metric.VO2_MAX, units.OXYGEN_UPTAKE),
    "BodyTemperature": Quantity(Metric.BODY_TEMPERATURE, units.CELSIUS),
    "BasalBodyTemperature": Quantity(Metric.BODY_TEMPERATURE, units.CELSIUS, "basal"),
    "AppleSleepingWristTemperature": Quantity(Metric.SKIN_TEMPERATURE, units.CELSIUS),
    "StepCount": Quantity(Metric.STEPS, units.COUNT),
    "DistanceWalkingRunning": Quantity(Metric.DISTANCE, units.METRES, "on_foot"),
    "DistanceCycling": Quantity(Metric.DISTANCE, units.METRES, "cycling"),
    "DistanceSwimming": Quantity(Metric.DISTANCE, units.METRES, "swimming"),
    "DistanceWheelchair": Quantity(Metric.DISTANCE, units.METRES, "wheelchair"),
    "FlightsClimbed": Quantity(Metric.FLIGHTS_CLIMBED, units.COUNT),
    "ActiveEnergyBurned": Quantity(Metric.ACTIVE_ENERGY, units.ENERGY),
    "BasalEnergyBurned": Quantity(Metric.BASAL_ENERGY, units.ENERGY),
    "AppleExerciseTime": Quantity(Metric.ACTIVE_DURATION, units.SECONDS),
    "PhysicalEffort": Quantity(Metric.MET, units.METABOLIC),
    "WalkingSpeed": Quantity(Metric.WALKING_SPEED, units.SPEED),
    "RunningSpeed": Quantity(Metric.SPEED, units.SPEED, "running"),
    "CyclingSpeed": Quantity(Metric.SPEED, units.SPEED, "cycling"),
    "RunningPower": Quantity(Metric.POWER, units.WATTS, "running"),
    "CyclingPower": Quantity(Metric.POWER, units.WATTS, "cycling"),
    "CyclingCadence": Quantity(Metric.CADENCE, units.RATE, "cycling"),
    "BodyMass": Quantity(Metric.WEIGHT, units.KILOGRAMS),
    "Height": Quantity(Metric.HEIGHT, units.METRES),
    "BodyMassIndex": Quantity(Metric.BMI, units.INDEX),
    "BodyFatPercentage": Quantity(Metric.BODY_FAT, units.PERCENT),
    "LeanBodyMass": Quantity(Metric.LEAN_BODY_MASS, units.KILOGRAMS),
    "WaistCircumference": Quantity(Metric.WAIST_CIRCUMFERENCE, units.METRES),
    "DietaryEnergyConsumed": Quantity(Metric.DIETARY_ENERGY, units.ENERGY),
    "DietaryCarbohydrates": Quantity(Metric.CARBOHYDRATES, units.GRAMS),
    "DietaryProtein": Quantity(Metric.PROTEIN, units.GRAMS),
    "DietaryFatTotal": Quantity(Metric.FAT, units.GRAMS),
    "DietaryFatSaturated": Quantity(Metric.SATURATED_FAT, units.GRAMS),
    "DietaryFiber": Quantity(Metric.FIBER, units.GRAMS),
    "DietarySugar": Quantity(Metric.SUGAR, units.GRAMS),
    "DietarySodium": Quantity(Metric.SODIUM, units.MILLIGRAMS),
    "DietaryCholesterol": Quantity(Metric.CHOLESTEROL, units.MILLIGRAMS),
    "DietaryCaffeine": Quantity(Metric.CAFFEINE, units.MILLIGRAMS),
    "DietaryWater": Quantity(Metric.HYDRATION, units.MILLILITRES),
}

ANDROID: dict[str, Quantity] = {
    "HEART_RATE": APPLE["HeartRate"],
    "RESTING_HEART_RATE": APPLE["RestingHeartRate"],
    "HEART_RATE_VARIABILITY": APPLE["HeartRateVariabilityRMSSD"],
    "RESPIRATORY_RATE": APPLE["RespiratoryRate"],
    "OXYGEN_SATURATION": APPLE["OxygenSaturation"],
    "BLOOD_PRESSURE_SYSTOLIC": APPLE["BloodPressureSystolic"],
    "BLOOD_PRESSURE_DIASTOLIC": APPLE["BloodPressureDiastolic"],
    "BLOOD_GLUCOSE": APPLE["BloodGlucose"],
    "VO2_MAX": APPLE["VO2Max"],
    "BODY_TEMPERATURE": APPLE["BodyTemperature"],
    "STEP_COUNT": APPLE["StepCount"],
    "DISTANCE": Quantity(Metric.DISTANCE, units.METRES),
    "FLOORS_CLIMBED": APPLE["FlightsClimbed"],
    "ACTIVE_CALORIES_BURNED": APPLE["ActiveEnergyBurned"],
    "TOTAL_CALORIES_BURNED": Quantity(Metric.TOTAL_ENERGY, units.ENERGY),
    "SPEED": Quantity(Metric.SPEED, units.SPEED),
    "POWER": Quantity(Metric.POWER, units.WATTS),
    "CYCLING_PEDALING_CADENCE": APPLE["CyclingCadence"],
    "WEIGHT": APPLE["BodyMass"],
    "HEIGHT": APPLE["Height"],
    "BMI": APPLE["BodyMassIndex"],
    "BODY_FAT": APPLE["BodyFatPercentage"],
    "LEAN_BODY_MASS": APPLE["LeanBodyMass"],
    "SKELETAL_MUSCLE_MASS": Quantity(Metric.MUSCLE_MASS, units.KILOGRAMS),
    "HYDRATION": APPLE["DietaryWater"],
}

SDK: dict[str, Quantity] = {
    **{f"HKQuantityTypeIdentifier{name}": row for name, row in APPLE.items()},
    **ANDROID,
}

# Metric names of Health Auto Export; display names are brought to this spelling.
EXPORT: dict[str, Quantity] = {
    "resting_heart_rate": APPLE["RestingHeartRate"],
    "walking_heart_rate": APPLE["WalkingHeartRateAverage"],
    "walking_heart_rate_average": APPLE["WalkingHeartRateAverage"],
    "cardio_recovery": APPLE["HeartRateRecoveryOneMinute"],
    "heart_rate_variability": APPLE["HeartRateVariabilitySDNN"],
    "heart_rate_variability_sdnn": APPLE["HeartRateVariabilitySDNN"],
    "heart_rate_variability_rmssd": APPLE["HeartRateVariabilityRMSSD"],
    "respiratory_rate": APPLE["RespiratoryRate"],
    "blood_oxygen_saturation": APPLE["OxygenSaturation"],
    "blood_glucose": APPLE["BloodGlucose"],
    "vo2_max": APPLE["VO2Max"],
    "body_temperature": APPLE["BodyTemperature"],
    "basal_body_temperature": APPLE["BasalBodyTemperature"],
    "apple_sleeping_wrist_temperature": APPLE["AppleSleepingWristTemperature"],
    "step_count": APPLE["StepCount"],
    "walking_running_distance": APPLE["DistanceWalkingRunning"],
    "cycling_distance": APPLE["DistanceCycling"],
    "swimming_distance": APPLE["DistanceSwimming"],
    "wheelchair_distance": APPLE["DistanceWheelchair"],
    "flights_climbed": APPLE["FlightsClimbed"],
    "active_energy": APPLE["ActiveEnergyBurned"],
    "basal_energy_burned": APPLE["BasalEnergyBurned"],
    "apple_exercise_time": APPLE["AppleExerciseTime"],
    "physical_effort": APPLE["PhysicalEffort"],
    "walking_speed": APPLE["WalkingSpeed"],
    "running_speed": APPLE["RunningSpeed"],
    "cycling_speed": APPLE["CyclingSpeed"],
    "running_power": APPLE["RunningPower"],
    "cycling_power": APPLE["CyclingPower"],
    "cycling_cadence": APPLE["CyclingCadence"],
    "weight_body_mass": APPLE["BodyMass"],
    "height": APPLE["Height"],
    "body_mass_index": APPLE["BodyMassIndex"],
    "body_fat_percentage": APPLE["BodyFatPercentage"],
    "lean_body_mass": APPLE["LeanBodyMass"],
    "waist_circumference": APPLE["WaistCircumference"],
    "dietary_energy": APPLE["DietaryEnergyConsumed"],
    "carbohydrates": APPLE["DietaryCarbohydrates"],
    "protein": APPLE["DietaryProtein"],
    "total_fat": APPLE["DietaryFatTotal"],
    "saturated_fat": APPLE["DietaryFatSaturated"],
    "fiber": APPLE["DietaryFiber"],
    "dietary_sugar": APPLE["DietarySugar"],
    "sodium": APPLE["DietarySodium"],
    "cholesterol": APPLE["DietaryCholesterol"],
    "caffeine": APPLE["DietaryCaffeine"],
    "dietary_water": APPLE["DietaryWater"],
}

# Metrics of Health Auto Export whose points hold several values: key by key.
EXPORT_MANY: dict[str, dict[str, Quantity]] = {
    "heart_rate": {
        "qty": APPLE["HeartRate"],
        "Min": Quantity(Metric.HEART_RATE_MIN, units.RATE),
        "Avg": Quantity(Metric.HEART_RATE_AVERAGE, units.RATE),
        "Max": Quantity(Metric.HEART_RATE_MAX, units.RATE),
    },
    "blood_pressure": {
        "systolic": APPLE["BloodPressureSystolic"],
        "diastolic": APPLE["BloodPressureDiastolic"],
    },
}

# What is measured now and then: the day's last value is also the record's reading.
LATEST_OF_DAY = frozenset(
    {
        Metric.RESTING_HEART_RATE,
        Metric.WALKING_HEART_RATE,
        Metric.HEART_RATE_RECOVERY,
        Metric.VO2_MAX,
        Metric.BODY_TEMPERATURE,
        Metric.SKIN_TEMPERATURE,
        Metric.BLOOD_PRESSURE_SYSTOLIC,
        Metric.BLOOD_PRESSURE_DIASTOLIC,
        Metric.WEIGHT,
        Metric.HEIGHT,
        Metric.BMI,
        Metric.BODY_FAT,
        Metric.LEAN_BODY_MASS,
        Metric.MUSCLE_MASS,
        Metric.WAIST_CIRCUMFERENCE,
    }
)
