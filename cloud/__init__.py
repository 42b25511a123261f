"""The enterprise level: what people and programs ask about the plant, behind one web address."""
